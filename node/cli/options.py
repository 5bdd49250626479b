"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[Path | None, typer.Option(help="Folder of this node's keys, trust and state.")]
Model = Annotated[Path | None, typer.Option(help="Base model directory; default: the packaged SmolLM2-135M-Instruct.")]
Trust = Annotated[Path | None, typer.Option(help="Pinned keys; default: trust.json in the node's home.")]
Coordinator = Annotated[str, typer.Option(help="HOST:PORT of the coordinator.", show_default=False)]
Once = Annotated[bool, typer.Option("--once", help="Work on one job, then exit.")]


def log_to_stderr() -> None:
    """Log lines of a long-running process, on stderr."""
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
