"""Tables for people: as wide as the terminal, or as a file wants them."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

_PIPED_COLUMNS = 100
_UNMOVED = {"pending": " set aside", "void": " freed"}
_DIGEST = re.compile(r"(?:ed25519:|sha256:)?\b([0-9a-f]{8})[0-9a-f]{8,}\b")


def print_table(head: tuple[str, ...], lines: Sequence[tuple[str | int, ...]], *, wraps: Collection[str] = ()) -> None:
    """Prints lines under their head. Columns named in `wraps` may break; the others stay whole."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for number, name in enumerate(head):
        counts = bool(lines) and isinstance(lines[0][number], int)
        table.add_column(name, justify="right" if counts else "left", overflow="fold", no_wrap=name not in wraps)
    for line in lines:
        table.add_row(*(f"{each:,}" if isinstance(each, int) else each for each in line))
    width = None if sys.stdout.isatty() else _PIPED_COLUMNS
    Console(highlight=False, markup=False, width=width).print(table)


def shortened(text: str) -> str:
    """Key ids and digests in a text, each as its first eight digits."""
    return _DIGEST.sub(r"\1", text)


def amount(minor: int, token: str, phase: str) -> str:
    """What a transfer moves, or only sets aside, or frees again."""
    return f"{minor:,} {token}{_UNMOVED.get(phase, '')}"


def moment(milliseconds: int) -> str:
    """A time, in UTC and to the second."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
