"""Effects outside the database that a transaction promised: done at least once, whatever dies in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Effect:
    """`kind` says what is to be done, `argument` to what. Doing it twice must be harmless.

    `failures` counts how often it was tried; once done it is gone.
    """

    id: int
    kind: str
    argument: str
    not_before_ms: int
    failures: int = 0


class Outbox(Protocol):
    def put(self, kind: str, argument: str, not_before_ms: int) -> None: ...

    def due(self, kind: str, now_ms: int) -> Effect | None:
        """What of a kind may be done now; of several, what has been due the longest."""
        ...

    def postpone(self, effect_id: int, not_before_ms: int) -> None:
        """What is being tried comes again later unless it is done by then, and meanwhile holds up nothing."""
        ...

    def give_up(self, effect_id: int) -> None:
        """What is being tried for the last time is not due any more, but kept."""
        ...

    def take_up(self, now_ms: int) -> None:
        """What was given up is due again."""
        ...

    def done(self, effect_id: int) -> None:
        """Forgets an effect. Twice is harmless."""
        ...
