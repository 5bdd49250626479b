"""Outlives a Ray driver by a moment, to end what Ray left behind: `python -m node.cluster.reaper FOLDER`.

Standard input tells it that the driver lets go or is gone, however that came about: the pipe ends. Each process of Ray
keeps a log open in its folder. (Ray 2.60 alone leaves two helpers running for a minute after its driver was killed.)
"""

from __future__ import annotations

import os
import shutil
import sys

import psutil


def writers_into(folder: str) -> list[psutil.Process]:
    """The processes that hold a file in `folder` open, but for this one and its parent, the driver."""
    found = []
    for process in psutil.process_iter():
        try:
            files = process.open_files()
        except psutil.Error:  # gone meanwhile, or another user's
            continue
        if process.pid not in (os.getpid(), os.getppid()) and any(f.path.startswith(f"{folder}/") for f in files):
            found.append(process)
    return found


def main() -> None:
    folder = sys.argv[1]
    sys.stdin.read()
    while leftovers := writers_into(folder):
        for process in leftovers:
            process.kill()
        psutil.wait_procs(leftovers, timeout=1)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
