"""What happened to a job, for people and dashboards. Never says anything about marks before the reveal."""

from __future__ import annotations

from dataclasses import dataclass

from node.core.job import State


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of a running training; a claim, not evidence. Tokens include those of the prompts."""

    step: int
    steps: int
    epoch: float
    loss: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class JobEvent:
    """`sequence` counts from 1 within the job once stored; 0 before that. `state` is the state after the event."""

    sequence: int
    time_ms: int
    state: State
    message: str
    progress: Progress | None = None
