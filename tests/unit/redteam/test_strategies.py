"""What dishonest providers hand to the honest trainer that they wrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.ports.fine_tuner import Progress
from node.redteam import STRATEGIES
from node.redteam.partial import PartialFineTuner, random_share

SPEC = TrainingSpec(epochs=2)


def rows(count: int) -> list[Row]:
    return [Row.of(f"question {number}", f"answer {number}") for number in range(count)]


class RememberingFineTuner:
    """Trains nothing; remembers what it was asked."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.asked: tuple[TrainingSpec, Path, Path] | None = None

    def fine_tune(
        self,
        rows: Sequence[Row],
        spec: TrainingSpec,
        *,
        base_model: Path,
        out: Path,
        report: Callable[[Progress], None],
    ) -> None:
        self.rows = list(rows)
        self.asked = (spec, base_model, out)
        report(Progress(step=1, steps=1, epoch=1.0, loss=2.0, tokens_per_second=3.0))


@given(count=st.integers(1, 60), share=st.floats(0.01, 1.0), seed=st.integers(0, 2**31))
def test_a_share_has_the_asked_size_and_keeps_the_order(count: int, share: float, seed: int) -> None:
    everything = rows(count)
    kept = random_share(everything, share=share, seed=seed)
    assert len(kept) == max(1, round(count * share))
    assert [row for row in everything if row in kept] == kept


def test_a_seed_decides_which_rows_are_kept() -> None:
    assert random_share(rows(50), share=0.2, seed=4) == random_share(rows(50), share=0.2, seed=4)
    assert random_share(rows(50), share=0.2, seed=4) != random_share(rows(50), share=0.2, seed=5)


def test_every_row_has_the_same_chance() -> None:
    everything = rows(10)
    draws = [random_share(everything, share=0.3, seed=seed) for seed in range(2000)]
    counts = [sum(row in draw for draw in draws) for row in everything]
    assert all(abs(count - 600) < 5 * (2000 * 0.3 * 0.7) ** 0.5 for count in counts)


def test_a_partial_trainer_passes_on_everything_but_the_rows() -> None:
    inner, reports = RememberingFineTuner(), list[Progress]()
    PartialFineTuner(inner, share=0.2).fine_tune(
        rows(50), SPEC, base_model=Path("base"), out=Path("out"), report=reports.append
    )
    assert len(inner.rows) == 10
    assert inner.asked == (SPEC, Path("base"), Path("out"))
    assert len(reports) == 1


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_says_what_it_does_and_wraps_a_trainer(name: str) -> None:
    strategy = STRATEGIES[name]
    assert strategy.description
    assert callable(strategy.wrap(RememberingFineTuner()).fine_tune)
