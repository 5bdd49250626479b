"""A clock that stands still until a test moves it."""

from __future__ import annotations

START_MS = 1_800_000_000_000


class FakeClock:
    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance_to(self, now_ms: int) -> None:
        assert now_ms >= self._now_ms, "a clock never goes back"
        self._now_ms = now_ms
