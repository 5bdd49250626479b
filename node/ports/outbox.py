"""Effects outside the database that a transaction promised: done at least once, whatever dies in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Effect:
    """`kind` says what is to be done, `argument` to what. Doing it twice must be harmless.

    `failures` counts how often it could not be done.
    """

    id: int
    kind: str
    argument: str
    not_before_ms: int
    failures: int = 0


class Outbox(Protocol):
    def put(self, kind: str, argument: str, not_before_ms: int) -> None: ...

    def due(self, now_ms: int, limit: int) -> Sequence[Effect]:
        """What may be done now, the longest due first."""
        ...

    def postpone(self, effect_id: int, not_before_ms: int) -> None:
        """What could not be done comes again later, and holds up nothing that is due meanwhile."""
        ...

    def give_up(self, effect_id: int) -> None:
        """What could not be done is not due any more, but kept."""
        ...

    def take_up(self, now_ms: int) -> None:
        """What was given up is due again."""
        ...

    def done(self, effect_id: int) -> None:
        """Forgets an effect. Twice is harmless."""
        ...
