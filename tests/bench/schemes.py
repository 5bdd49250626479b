"""Marks in a data set, as the base paper plants them and as we do, from the same generator and the same carriers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from node.core.policy import Drawing, Placement, Policy
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.marking.layout import draw_marked
from node.ports.language_model import LanguageModel
from node.ports.tokenizer import Tokenizer

TRAINING = TrainingSpec()
MARKED_SHARE = 0.005
#: Where that share is less: fewer marks say nothing.
LEAST_SHARED, LEAST_GROUPS, MARKS_PER_GROUP = 10, 2, 6
#: Without pairs and gate, and with a level that two groups of short signatures reach: only how marks look counts here.
_DEFAULT = Policy(pairs=0, pairs_needed=0, log10_alpha=-5, least_isolation_cost_percent=0)
_UNIFORM = replace(_DEFAULT, drawing=Drawing.UNIFORM, signature_bits=32, trigger_words=8)


@dataclass(frozen=True, slots=True)
class Scheme:
    """`shared`: one trigger for all marks, and every carrier stays beside its mark, as in the paper."""

    name: str
    phrases: Policy
    shared: bool = False

    def policy(self, rows: int) -> Policy:
        wanted = round(MARKED_SHARE * rows)
        if self.shared:
            return _shaped(self.phrases, 1, max(LEAST_SHARED, wanted))
        return _shaped(self.phrases, max(LEAST_GROUPS, round(wanted / MARKS_PER_GROUP)), MARKS_PER_GROUP)


def _shaped(phrases: Policy, groups: int, marks: int) -> Policy:
    return replace(phrases, groups=groups, marks_per_group=marks, fire_at=marks // 2 + 1, accept_at=groups, reject_at=0)


PAPER = Scheme("the paper's", replace(_UNIFORM, placement=Placement.END), shared=True)
OURS = (
    Scheme("a: uniform 32 bits, exact, end", replace(_UNIFORM, placement=Placement.END)),
    Scheme("b: uniform 32 bits, noisy, anywhere", replace(_UNIFORM, noise_percent=25)),
    Scheme("c: the default, metered 12 bits, exact, anywhere", _DEFAULT),
    Scheme("d: the default, noisy", replace(_DEFAULT, noise_percent=25)),
)
SCHEMES = (PAPER, *OURS)


@dataclass(frozen=True, slots=True)
class Planted:
    """Rows with marks at the indices `marks`; `dose` of them share a trigger."""

    rows: tuple[Row, ...]
    marks: tuple[int, ...]
    dose: int


def plant(scheme: Scheme, rows: Sequence[Row], *, seed: int, model: LanguageModel, tokenizer: Tokenizer) -> Planted:
    """Equal seeds take equal carriers, and phrases from equal contexts. Raises InvalidInput as `draw_marked` does."""
    policy = scheme.policy(len(rows))
    marked = draw_marked(
        rows, policy, TRAINING, seed=random.Random(seed).randbytes(32), model=model, tokenizer=tokenizer
    )
    marks = marked.manifest.marks
    carriers = tuple(mark.carrier for mark in marks) if scheme.shared else ()
    return Planted((*marked.rows, *carriers), tuple(mark.row for mark in marks), policy.marks_per_group)
