"""Time, as an argument: tests jump it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch; never goes back within a process."""
        ...
