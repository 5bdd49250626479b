"""A calibration profile: how often groups of marks fired, and held-out pairs were won, in measured trainings.

Between and beyond what was measured one thing is assumed, monotonicity: more marks seen of a group, or more epochs,
never make it fire less often, nor more epochs win fewer pairs. So a cell that was measured bounds every cell of as
large a group that has more, from below, and every such cell that has less, from above; where no cell says anything the
bounds are 0 and 1. Each limit by itself is wrong with a probability of at most 5 %, if groups and pairs of one training
behave as if they were independent. Knows nothing of how cells are measured.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from node.core.policy import Policy
from node.core.training import TrainingSpec
from node.crypto.digest import Digest
from node.errors import InvalidInput
from node.stats.binomial import clopper_pearson

#: Each of the two limits holds at 95 %.
TWO_SIDED_CONFIDENCE = 0.90


@dataclass(frozen=True, slots=True)
class GroupCell:
    """`fired` of `groups` groups of `marks` marks each, `seen` of which were trained on for `epochs` epochs.

    All prompts of a group were asked, as a verdict asks them, and the group fired when more than half of them showed
    its signature. Rows of marks that were not seen were not trained on at all.

    Raises:
        InvalidInput: a count is out of range.
    """

    marks: int
    seen: int
    epochs: int
    fired: int
    groups: int

    def __post_init__(self) -> None:
        if not (1 <= self.seen <= self.marks and self.epochs >= 1 and 0 <= self.fired <= self.groups >= 1):
            raise InvalidInput(
                f"{self.fired} of {self.groups} groups, {self.seen} of {self.marks} marks seen for {self.epochs} "
                "epochs, were not measured.",
                field="groups",
            )


@dataclass(frozen=True, slots=True)
class PairCell:
    """`won` of `pairs` held-out pairs, whose sent rows were trained on for `epochs` epochs.

    Raises:
        InvalidInput: a count is out of range.
    """

    epochs: int
    won: int
    pairs: int

    def __post_init__(self) -> None:
        if not (self.epochs >= 1 and 0 <= self.won <= self.pairs and self.pairs >= 1):
            raise InvalidInput(
                f"{self.won} of {self.pairs} pairs after {self.epochs} epochs were not measured.", field="pairs"
            )


@dataclass(frozen=True, slots=True)
class Profile:
    """What was measured, and on what.

    Attributes:
        base_model, base_model_name: the model that was fine-tuned.
        dataset: digest of the rows that every seed drew from.
        rows: rows of one training, marks included.
        training: its specification but for the epochs, which the cells say.
        policy: how phrases were drawn and planted. Its counts are those of one training; its thresholds mean nothing.
        groups, pairs: the cells.

    Raises:
        InvalidInput: nothing was measured, or a cell occurs twice.
    """

    base_model: Digest
    base_model_name: str
    dataset: Digest
    rows: int
    training: TrainingSpec
    policy: Policy
    groups: tuple[GroupCell, ...]
    pairs: tuple[PairCell, ...]

    def __post_init__(self) -> None:
        if self.rows < 1 or not self.groups:
            raise InvalidInput("A profile needs rows and groups that were measured.", field="groups")
        kinds = {(cell.marks, cell.seen, cell.epochs) for cell in self.groups}
        if len(kinds) < len(self.groups) or len({cell.epochs for cell in self.pairs}) < len(self.pairs):
            raise InvalidInput("A profile holds every cell once.", field="groups")

    @property
    def marks(self) -> tuple[int, ...]:
        """Sizes of the groups that were measured, rising."""
        return tuple(sorted({cell.marks for cell in self.groups}))

    @property
    def seen(self) -> tuple[int, ...]:
        """How many marks of a group were trained on, rising."""
        return tuple(sorted({cell.seen for cell in self.groups}))

    @property
    def epochs(self) -> tuple[int, ...]:
        """Lengths of trainings whose groups were measured, rising."""
        return tuple(sorted({cell.epochs for cell in self.groups}))

    @property
    def most_epochs(self) -> int:
        """Of longer trainings the profile says nothing."""
        return max([cell.epochs for cell in self.groups] + [cell.epochs for cell in self.pairs])

    @property
    def told(self) -> str:
        """What was measured, as a person reads it."""
        lengths = ", ".join(map(str, self.epochs))
        least = min(cell.groups for cell in self.groups)
        return f"{self.base_model_name}, {self.rows} rows, trainings of {lengths} epochs, {least} groups of a kind"

    def trainings(self, epochs: int) -> int:
        """How many trainings of this length were measured. Their seeds are 1, 2, ..."""
        return sum(cell.pairs for cell in self.pairs if cell.epochs == epochs) // self.policy.pairs

    def group_fires_at_least(self, marks: int, seen: int, epochs: int) -> float:
        """Lower limit of P(a group of `marks` fires), `seen` of them trained on for `epochs`."""
        known = (each for each in self.groups if each.marks == marks and each.seen <= seen and each.epochs <= epochs)
        return max((limits(each.fired, each.groups)[0] for each in known), default=0.0)

    def group_fires_at_most(self, marks: int, seen: int, epochs: int) -> float:
        """Upper limit of the same."""
        cell = self.cell_above(marks, seen, epochs)
        return limits(cell.fired, cell.groups)[1] if cell else 1.0

    def cell_above(self, marks: int, seen: int, epochs: int) -> GroupCell | None:
        """The measured cell on which `group_fires_at_most` rests."""
        known = (each for each in self.groups if each.marks == marks and each.seen >= seen and each.epochs >= epochs)
        return min(known, key=lambda each: limits(each.fired, each.groups)[1], default=None)

    def pair_won_at_least(self, epochs: int) -> float:
        """Lower limit of P(a pair is won), its sent row trained on for `epochs`."""
        known = (cell for cell in self.pairs if cell.epochs <= epochs)
        return max((limits(cell.won, cell.pairs)[0] for cell in known), default=0.0)

    def pair_won_at_most(self, epochs: int) -> float:
        """Upper limit of P(a pair is won), its sent row trained on for `epochs`."""
        known = (cell for cell in self.pairs if cell.epochs >= epochs)
        return min((limits(cell.won, cell.pairs)[1] for cell in known), default=1.0)


@functools.cache
def limits(count: int, trials: int) -> tuple[float, float]:
    """Lower and upper limit of a chance that came true `count` times in `trials`."""
    return clopper_pearson(count, trials, TWO_SIDED_CONFIDENCE)
