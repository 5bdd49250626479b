"""Options that several commands share."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

Home = Annotated[Path | None, typer.Option(help="Folder of this node's keys, trust and state.")]
Model = Annotated[Path | None, typer.Option(help="Base model directory; default: the packaged SmolLM2-135M-Instruct.")]
Coordinator = Annotated[
    str | None, typer.Option(help="HOST:PORT; default: the setting `coordinator`.", show_default=False)
]
Role = Annotated[
    Literal["client", "provider", "arbiter", "operator"], typer.Option("--as", help="Whose key of this home.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Once = Annotated[bool, typer.Option("--once", help="Work on one job, then exit.")]


#: What a shell expects of a command that Ctrl-C ended.
INTERRUPTED = 130


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM unwind the block, which ends what it started, then the command: exit code 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("hallmark: interrupted; everything that was started has ended.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def log_to_stderr() -> None:
    """Log lines of a long-running process, on stderr, as the settings want them."""
    from node import settings
    from node.telemetry import logs

    loaded = settings.load()
    logs.configure(loaded.log_level, loaded.log_format)
