"""`python -m node`: the same as the command `hallmark`."""

from node.cli.app import main

if __name__ == "__main__":
    main()
