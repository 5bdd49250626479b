"""Dishonest providers, part of the product: what a verdict is worth is what they get away with.

Each strategy wraps the trainer of an honest provider. Nothing else about the provider differs, and none of them sees
anything that an honest provider does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.ports.fine_tuner import FineTuner
from node.redteam.idle import IdleFineTuner
from node.redteam.partial import PartialFineTuner


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to cheat: `wrap` turns an honest trainer into this one."""

    description: str
    wrap: Callable[[FineTuner], FineTuner]


STRATEGIES: dict[str, Strategy] = {
    "idle": Strategy("returns an untrained adapter", lambda honest: IdleFineTuner()),
    "partial": Strategy("trains on a fifth of the rows", lambda honest: PartialFineTuner(honest, share=0.2)),
}
