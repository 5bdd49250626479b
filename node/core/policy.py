"""The policy: how many marks, how they are judged. Public, signed with the offer, never changed after it.

All stealth is measured with the policy known to the adversary. Knows nothing of how marks are made or scored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from node.errors import InvalidInput

#: Rows of the client's data that each group's contexts quote.
CONTEXT_ROWS = 2
#: A phrase that needs more words is a dead end.
MAX_WORDS = 64


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
        log10_alpha: ACCEPT needs a p-value of at most 10 ** log10_alpha under "guessed, not trained".
        control_limit_percent: so large a share of the negative controls may show a signature before the evidence is
            called insane. The bound on guessing needs no controls; they tell a signature that follows its trigger from
            one that appears everywhere. Honest models have learned their carriers by heart and were seen to show a
            signature on up to 23 % of them.
        pairs: n held-out pairs; each costs one row that is held back.
        pairs_alpha_percent: level of the lower bound on how much was trained on.
        pairs_decide: whether ACCEPT also needs the pairs' sign test at `pairs_alpha_percent`. Marks can be found by
            whoever looks hard enough, the pairs of a secret coin cannot.
        least_isolation_cost_percent: the cheapest attack that isolates the marks must cost at least this share of
            honest training, or the gate refuses to commit. 1 refuses next to nothing, but measures; 0 switches the gate
            off. Every verdict says what it found.
        attempts: R, so many whole manifests may be drawn before one is committed; ln p grows by ln R.

    Raises:
        InvalidInput: `field` names the value, the message the nearest one that works.
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
    accept_at: int = 8
    reject_at: int = 3
    log10_alpha: int = -9
    control_limit_percent: int = 50
    pairs: int = 100
    pairs_alpha_percent: int = 5
    pairs_decide: bool = True
    least_isolation_cost_percent: int = 1
    attempts: int = 4

    def __post_init__(self) -> None:
        self._require_between("groups", 1, 1000)
        self._require_between("marks_per_group", 2, 10_000)  # a phrase seen in one row is not learned
        self._require_between("fire_at", self.marks_per_group // 2 + 1, self.marks_per_group)
        self._require_between("candidates", 2, 256)
        self._require_between("trigger_words", 1, MAX_WORDS)
        self._require_between("signature_bits", 1, (self.candidates**MAX_WORDS).bit_length() - 1)
        self._require_between("noise_percent", 0, 40)
        if self.noise_percent:
            self._require(
                self.marks_per_group >= 3, "marks_per_group", "at least 3: fewer noisy copies have no majority"
            )
        if self.deciding_test is DecidingTest.POSITIONS and self.drawing is Drawing.METERED:
            raise InvalidInput(
                "Positions cannot decide over metered words, which are not equally likely.",
                fix="Choose uniform drawing, or let groups decide.",
                field="deciding_test",
                actual=self.deciding_test.value,
            )
        self._require_between("accept_at", 1, self.countable)
        self._require_between("reject_at", 0, self.accept_at - 1)
        self._require_between("log10_alpha", -10_000, -1)
        self._require_between("control_limit_percent", 0, 100)
        self._require_between("pairs", 0, 100_000)
        self._require_between("pairs_alpha_percent", 1, 50)
        self._require(not (self.pairs_decide and self.pairs == 0), "pairs", "at least 1 when pairs decide")
        self._require_between("least_isolation_cost_percent", 0, 100)
        self._require_between("attempts", 1, 1000)
        needed = math.ceil((math.log(self.attempts) - self.log_alpha) / (self.groups * math.log(2)))
        reached = self.groups * self.guess_bits * math.log(2) >= math.log(self.attempts) - self.log_alpha
        self._require(reached, "signature_bits", f"at least {needed}, or no count reaches the policy's alpha")

    def _require_between(self, field: str, low: int, high: int) -> None:
        self._require(low <= int(getattr(self, field)) <= high, field, f"between {low} and {high}")

    def _require(self, holds: bool, field: str, wanted: str) -> None:
        if not holds:
            actual = int(getattr(self, field))
            raise InvalidInput(f"Policy value {field} is {actual}; it must be {wanted}.", field=field, actual=actual)

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

    def least_rows(self) -> int:
        """The fewest rows that this policy can be planted in: carriers, pairs with twins, and context rows."""
        return self.marks + 2 * self.pairs + CONTEXT_ROWS * self.groups
