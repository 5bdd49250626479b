"""`hallmark coordinator`: run the verifier node."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from node.cli import options

app = typer.Typer(help="The verifier node: takes jobs, hides marks, judges adapters.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keeps `run` a subcommand while it is the only one."""


@app.command()
def run(
    home: options.Home = None,
    model: options.Model = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT; port 0 takes any free one.")] = None,
) -> None:
    """Runs until SIGTERM or Ctrl-C, which lets calls in progress end; a second one does not wait for them.

    Prints one JSON line on stdout once it serves; log lines go to stderr.
    """
    import logging

    from node import bootstrap, settings

    options.log_to_stderr()
    log = logging.getLogger("node.coordinator")

    def ready(port: int) -> None:
        print(json.dumps({"listening_port": port}), flush=True)

    bootstrap.run_coordinator(settings.load(home=home, listen=listen), model, ready=ready, report=log.info)
