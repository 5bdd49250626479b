"""What operators want to know of everything durable, as sums: no job, no party, no secret."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StateFigures:
    """Jobs in one state. The two times are None where no job of the state waits for anything."""

    state: str
    jobs: int
    oldest_created_at_ms: int | None
    next_due_at_ms: int | None


@dataclass(frozen=True, slots=True)
class MoneyFigures:
    """All accounts of one kind (party, escrow, external, burn) in one token; `external` counts negatively."""

    kind: str
    token: str
    balance_minor: int
    held_minor: int


@dataclass(frozen=True, slots=True)
class Figures:
    jobs: tuple[StateFigures, ...]
    money: tuple[MoneyFigures, ...]
    log_size: int
    outbox_due: int
    outbox_given_up: int
