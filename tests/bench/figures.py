"""The form of every benchmark's end: three lines, figure, target, met or not. `QUICK=1` asks for a short run."""

from __future__ import annotations

import os

QUICK = os.environ.get("QUICK") == "1"


def conclude(*, figure: str, target: str, met: bool) -> None:
    """Prints the last three lines of a benchmark."""
    print(f"figure: {figure}")
    print(f"target: {target}")
    print("met" if met else "not met", flush=True)
