"""The policy: how many marks, how they are judged. Public, signed with the offer, never changed after it.

All stealth is measured with the policy known to the adversary. Knows nothing of how marks are made or scored.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

from node.errors import InvalidInput
from node.stats import coverage, guessing, positions

Changes: TypeAlias = Mapping[str, int | StrEnum]
"""Fields of a policy with other values."""

#: Rows of the client's data that each group's contexts quote.
CONTEXT_ROWS = 2
#: More groups take too much verifying.
MOST_GROUPS = 1000
#: A phrase that needs more words is a dead end.
MAX_WORDS = 64
#: Level of the pairs' sign test, and of the lower bound on how many were trained on.
PAIRS_ALPHA = 0.05
#: Fewer are all won by luck more often than that.
LEAST_PAIRS = 5


class Drawing(StrEnum):
    """UNIFORM: every word is one of exactly k that are equally likely. METERED: one of the k likeliest, weighted as
    the generator model weighs them, until the signature's entropy suffices.
    """

    UNIFORM = "uniform"
    METERED = "metered"


class Placement(StrEnum):
    """Where a trigger stands in the user's last message. END: behind it. ANYWHERE: a sentence of its own, at any
    border between sentences or lines.
    """

    END = "end"
    ANYWHERE = "anywhere"


class DecidingTest(StrEnum):
    """What `accept_at` and `reject_at` count. GROUPS: groups that fired. POSITIONS: words of signatures, each
    predicted by its group's answers together; they are drawn uniformly or cannot be counted.
    """

    GROUPS = "groups"
    POSITIONS = "positions"


@dataclass(frozen=True, slots=True)
class Policy:
    """Groups of marks, thresholds and tests.

    Attributes:
        groups: G, independent groups, each with its own trigger and signature. 1 is the paper's own scheme.
        marks_per_group: m rows that carry one group's mark.
        fire_at: c, so many of a group's m mark prompts must show the signature for the group to fire; more than m / 2,
            so that one guess cannot serve two answers.
        drawing: how each word of a phrase is drawn.
        candidates: k, the words that it is drawn from.
        trigger_words: words in a trigger.
        signature_bits: H, every possible signature has probability 2 ** -H at most.
        noise_percent: each word of a planted phrase is replaced with this probability, copy by copy; the model learns
            the majority, whoever counts copies finds few.
        placement: where a trigger stands in its prompt.
        deciding_test: which test decides.
        accept_at, reject_at: ACCEPT needs a count of at least so many, REJECT of at most so many.
        log10_alpha: what reaches `accept_at` has a p-value of at most 10 ** log10_alpha under "guessed, not trained".
        control_limit_percent: so large a share of the negative controls may show a signature before the evidence is
            called insane. The bound on guessing needs no controls; they tell a signature that follows its trigger from
            one that appears everywhere. Honest models have learned their carriers by heart and were seen to show a
            signature on up to 23 % of them.
        pairs: n held-out pairs; each costs one row that is held back.
        pairs_needed: ACCEPT needs so many pairs won, too; at least so many that luck wins them with PAIRS_ALPHA at
            most. 0: they decide nothing. Marks can be found by whoever looks hard enough, the pairs of a secret coin
            cannot: what skips half of the rows wins half of their pairs.
        least_isolation_cost_percent: the cheapest attack that isolates the marks must cost at least this share of
            honest training, or the gate refuses to commit. 1 refuses next to nothing, but measures; 0 switches the gate
            off. Every verdict says what it found.
        attempts: R, so many whole manifests may be drawn before one is committed; ln p grows by ln R.

    Raises:
        InvalidInput: `field` names the value, `fix` the nearest policies that work.
    """

    groups: int = 10
    marks_per_group: int = 6
    fire_at: int = 4
    drawing: Drawing = Drawing.METERED
    candidates: int = 16
    trigger_words: int = 4
    signature_bits: int = 12
    noise_percent: int = 0
    placement: Placement = Placement.ANYWHERE
    deciding_test: DecidingTest = DecidingTest.GROUPS
    accept_at: int = 5
    reject_at: int = 2
    log10_alpha: int = -9
    control_limit_percent: int = 50
    pairs: int = 100
    pairs_needed: int = 85
    least_isolation_cost_percent: int = 1
    attempts: int = 4

    def __post_init__(self) -> None:
        for fault in _faults(self):
            actual = getattr(self, fault.field)
            ways = [told(mended(self, way)) for way in fault.ways]
            raise InvalidInput(
                f"Policy value {fault.field} is {actual}; it must be {fault.wanted}.",
                fix=f"Nearest that works: {'; or '.join(ways)}.",
                field=fault.field,
                actual=actual,
            )

    @property
    def marks(self) -> int:
        """N, all marks of all groups."""
        return self.groups * self.marks_per_group

    @property
    def most_signature_words(self) -> int:
        """UNIFORM: the words of every signature, the least L with k ** L >= 2 ** H. METERED: what none exceeds."""
        if self.drawing is Drawing.METERED:
            return MAX_WORDS
        return next(words for words in range(1, MAX_WORDS + 1) if self.candidates**words >= 2**self.signature_bits)

    @property
    def guess_bits(self) -> float:
        """No signature is guessed with a probability above 2 ** -this. UNIFORM: exactly, L * log2(k)."""
        if self.drawing is Drawing.METERED:
            return float(self.signature_bits)
        return self.most_signature_words * math.log2(self.candidates)

    @property
    def countable(self) -> int:
        """The most that `accept_at` can count."""
        return self.groups * (self.most_signature_words if self.deciding_test is DecidingTest.POSITIONS else 1)

    @property
    def log_alpha(self) -> float:
        return self.log10_alpha * math.log(10)

    def log_p(self, count: int) -> float:
        """ln of the bound on guessing so many in the deciding test, every redraw that is allowed counted."""
        if self.deciding_test is DecidingTest.POSITIONS:
            once = positions.log_p(count, [self.most_signature_words] * self.groups, self.candidates)
        else:
            group = guessing.log_fires(self.guess_bits, self.marks_per_group, self.fire_at)
            once = guessing.log_p(count, [group] * self.groups)
        return guessing.after_redraws(once, self.attempts)

    @property
    def least_accept_at(self) -> int:
        """The least count whose p-value is at most alpha; one more than can be counted if there is none."""
        return _least_accept_at(self)

    @property
    def least_pairs_needed(self) -> int:
        """The least count of pairs that luck wins with PAIRS_ALPHA at most; one more than there are if none."""
        return coverage.least_wins(self.pairs, math.log(PAIRS_ALPHA))

    def least_rows(self) -> int:
        """The fewest rows that this policy can be planted in: carriers, pairs with twins, and context rows."""
        return self.marks + 2 * self.pairs + CONTEXT_ROWS * self.groups


@lru_cache(maxsize=256)
def _least_accept_at(policy: Policy) -> int:
    """Kept, for many offers have the same policy, and each is read several times."""
    return bisect_left(range(policy.countable + 1), True, key=lambda count: policy.log_p(count) <= policy.log_alpha)


def mended(policy: Policy, wanted: Changes) -> Changes:
    """`wanted`, and whatever must change with it, or in its place, for the policy to work."""
    changes = dict(wanted)
    while fault := next(_faults(_draft(policy, changes)), None):
        changes.update(fault.ways[0])
    return changes


def way_out(policy: Policy, wanted: Changes) -> Changes | None:
    """`mended` where it keeps to `wanted`, else None."""
    changes = mended(policy, wanted)
    return changes if wanted.items() <= changes.items() else None


def told(changes: Changes) -> str:
    """Changes as a person reads them: "groups 6 and accept_at 6"."""
    return " and ".join(f"{field} {value}" for field, value in changes.items())


@dataclass(frozen=True, slots=True)
class _Fault:
    """A value that cannot work, what it must be, and changes of which each mends it; of several the first is surest."""

    field: str
    wanted: str
    ways: tuple[Changes, ...]


def _faults(policy: Policy) -> Iterator[_Fault]:
    """What keeps a policy from working. Each rule leans on those before it: only the first fault means anything."""
    yield from _outside(policy, "groups", 1, MOST_GROUPS)
    yield from _outside(policy, "noise_percent", 0, 40)
    # A phrase seen in one row is not learned, and fewer than three noisy copies have no majority.
    yield from _outside(policy, "marks_per_group", 3 if policy.noise_percent else 2, 10_000)
    yield from _outside(policy, "fire_at", policy.marks_per_group // 2 + 1, policy.marks_per_group)
    yield from _outside(policy, "candidates", 2, 256)
    yield from _outside(policy, "trigger_words", 1, MAX_WORDS)
    yield from _outside(policy, "signature_bits", 1, _most_bits(policy))
    if policy.deciding_test is DecidingTest.POSITIONS and policy.drawing is Drawing.METERED:
        yield _Fault(
            "deciding_test",
            "groups where drawing is metered, for such words are not equally likely",
            ({"deciding_test": DecidingTest.GROUPS}, {"drawing": Drawing.UNIFORM}),
        )
    yield from _outside(policy, "attempts", 1, 1000)
    yield from _outside(policy, "log10_alpha", -10_000, -1)
    if policy.least_accept_at > policy.countable:
        yield _out_of_reach(policy)
    yield from _outside(policy, "accept_at", policy.least_accept_at, policy.countable)
    yield from _outside(policy, "reject_at", 0, policy.accept_at - 1)
    yield from _outside(policy, "control_limit_percent", 0, 100)
    yield from _outside(policy, "pairs", LEAST_PAIRS if policy.pairs_needed else 0, 100_000)
    if policy.pairs_needed and not policy.least_pairs_needed <= policy.pairs_needed <= policy.pairs:
        yield _Fault(
            "pairs_needed",
            f"0, or between {policy.least_pairs_needed} and {policy.pairs}: luck wins fewer too often",
            ({"pairs_needed": policy.least_pairs_needed}, {"pairs_needed": 0}),
        )
    yield from _outside(policy, "least_isolation_cost_percent", 0, 100)


def _outside(policy: Policy, field: str, low: int, high: int) -> Iterator[_Fault]:
    value = int(getattr(policy, field))
    if not low <= value <= high:
        yield _Fault(
            field, f"between {low} and {high}{_REASONS.get(field, '')}", ({field: max(low, min(value, high))},)
        )


#: Why a range is what it is, where that is not plain.
_REASONS = {
    "fire_at": ": more than half, so that no two guesses fit",
    "accept_at": ": fewer do not reach log10_alpha, more cannot be counted",
    "reject_at": ", below accept_at",
    "pairs": ": if any are needed, luck must not win them all too often",
}


def _out_of_reach(policy: Policy) -> _Fault:
    """Even the highest count is guessed more often than alpha allows. Mended by more bits, a greater alpha or more
    groups; where none of these suffices, by all the bits there are and the alpha that they reach.
    """

    def mended(field: str, values: range, **beside: int) -> list[Changes]:
        def reached(value: int) -> bool:
            draft = _draft(policy, {**beside, field: value})
            return draft.least_accept_at <= draft.countable

        first = bisect_left(values, True, key=reached)
        return [{**beside, field: value} for value in values[first : first + 1]]

    bits, alphas = range(policy.signature_bits, _most_bits(policy) + 1), range(policy.log10_alpha, 0)
    groups = range(policy.groups, MOST_GROUPS + 1)
    alone = mended("signature_bits", bits) + mended("log10_alpha", alphas) + mended("groups", groups)
    ways = alone or mended("log10_alpha", alphas, signature_bits=bits[-1])
    return _Fault("signature_bits", "more, or no count reaches log10_alpha", tuple(ways))


def _most_bits(policy: Policy) -> int:
    """What the longest phrase holds."""
    phrases: int = policy.candidates**MAX_WORDS
    return phrases.bit_length() - 1


def _draft(policy: Policy, changes: Changes) -> Policy:
    """A copy that nobody has checked."""
    draft = copy(policy)
    for field, value in changes.items():
        object.__setattr__(draft, field, value)
    return draft
