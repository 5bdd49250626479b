"""How many rows a training may hold in memory at once, kept beside it: fewer each time that its process was killed.

Whatever kills a process for its memory, the kernel or Ray, gives it no chance to say so. Knows nothing of how a step is
taken in parts.
"""

from __future__ import annotations

from pathlib import Path

from node.provider.durable import write_durably

LIMIT_FILE = "rows_at_once"


def most_rows_at_once(out: Path, wanted: int) -> int:
    """The rows that the training in `out` may hold at once, of those that it would."""
    try:
        return min(wanted, int((out / LIMIT_FILE).read_text()))
    except (FileNotFoundError, ValueError):
        return wanted


def halve(out: Path, wanted: int) -> int:
    """Half as many from now on, but one at least; returns their number."""
    fewer = (most_rows_at_once(out, wanted) + 1) // 2
    write_durably(out / LIMIT_FILE, str(fewer).encode())
    return fewer
