"""Calibration profiles with invented counts: what a small model might have learned, from as many groups as wanted."""

from __future__ import annotations

from node.core.policy import Drawing, Policy
from node.core.profile import GroupCell, PairCell, Profile
from node.core.training import TrainingSpec
from node.crypto.digest import digest

#: {epochs: {marks seen: groups of twelve that fired}}, however large the group
FIRED_OF_12 = {
    2: {1: 0, 2: 0, 3: 0, 4: 0, 6: 1, 8: 4},
    3: {1: 0, 2: 0, 3: 0, 4: 2, 6: 7, 8: 12},
    4: {1: 0, 2: 0, 3: 1, 4: 5, 6: 12, 8: 12},
    8: {1: 0, 2: 1, 3: 6, 4: 12, 6: 12, 8: 12},
}
WON_OF_120 = {2: 108, 3: 113, 4: 118, 8: 120}


def invented(times: int = 1) -> Profile:
    """`times` as many groups and pairs, at the same rates."""
    return Profile(
        base_model=digest("base-model/v1", b"invented"),
        base_model_name="invented",
        dataset=digest("dataset", b"invented"),
        rows=200,
        training=TrainingSpec(),
        policy=Policy(drawing=Drawing.UNIFORM, trigger_words=8, signature_bits=32),
        groups=tuple(
            GroupCell(marks, seen, epochs, times * fired, times * 12)
            for epochs, row in FIRED_OF_12.items()
            for marks in row
            for seen, fired in row.items()
            if seen <= marks
        ),
        pairs=tuple(PairCell(epochs, times * won, times * 120) for epochs, won in WON_OF_120.items()),
    )
