"""The provider that saves work: it trains honestly, but on a random share of the rows.

It picks rows blindly; that it knows no better way is an assumption of this strategy, not a fact about providers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.stream import SeedStream
from node.ports.fine_tuner import FineTuner, Progress


def random_share(rows: Sequence[Row], *, share: float, seed: int) -> list[Row]:
    """`share` of the rows in their order, every subset of that size equally likely; at least one row."""
    stream = SeedStream(seed.to_bytes(32), "partial")
    kept = stream.sample(range(len(rows)), max(1, round(len(rows) * share)))
    return [rows[at] for at in sorted(kept)]


class PartialFineTuner:
    """FineTuner that hands `share` of the rows to `inner`; 0 < share <= 1."""

    def __init__(self, inner: FineTuner, *, share: float, seed: int = 1) -> None:
        self._inner, self._share, self._seed = inner, share, seed

    def fine_tune(
        self,
        rows: Sequence[Row],
        spec: TrainingSpec,
        *,
        base_model: Path,
        out: Path,
        report: Callable[[Progress], None],
    ) -> None:
        kept = random_share(rows, share=self._share, seed=self._seed)
        self._inner.fine_tune(kept, spec, base_model=base_model, out=out, report=report)
