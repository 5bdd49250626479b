"""The policy: how many marks, how they are judged. Public, signed with the offer, never changed after it.

All stealth is measured with the policy known to the adversary. Knows nothing of how marks are made or scored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from node.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Policy:
    """Groups of marks, thresholds and tests.

    Attributes:
        groups: G, independent groups, each with its own trigger and signature. 1 is the paper's own scheme.
        marks_per_group: m rows that carry one group's mark.
        fire_at: c, so many of a group's m mark prompts must show the signature for the group to fire; more than m / 2,
            so that one guess cannot serve two answers.
        candidates: k, every word of a phrase is drawn uniformly from exactly k.
        trigger_words, signature_words: L, words in a trigger and in a signature; a signature has L * log2(k) bits.
        accept_at, reject_at: ACCEPT needs at least so many fired groups, REJECT at most so many.
        log10_alpha: ACCEPT needs a p-value of at most 10 ** log10_alpha under "guessed, not trained".
        control_limit: so many negative controls may show a signature before the evidence is called insane.
        pairs: n held-out pairs; each costs one row that is held back.
        pairs_alpha_percent: level of the lower bound on how much was trained on.
        pairs_decide: whether ACCEPT also needs the pairs' sign test at `pairs_alpha_percent`.
        least_isolation_cost_percent: the cheapest attack that isolates the marks must cost at least this share of
            honest training, or the gate refuses to commit. 0 switches the gate off. Below 100 every verdict says so.
        attempts: R, so many whole manifests may be drawn before one is committed; ln p grows by ln R.

    Raises:
        InvalidInput: `field` names the value, the message the nearest one that works.
    """

    groups: int = 10
    marks_per_group: int = 6
    fire_at: int = 4
    candidates: int = 16
    trigger_words: int = 8
    signature_words: int = 8
    accept_at: int = 8
    reject_at: int = 3
    log10_alpha: int = -9
    control_limit: int = 0
    pairs: int = 100
    pairs_alpha_percent: int = 5
    pairs_decide: bool = False
    least_isolation_cost_percent: int = 100
    attempts: int = 4

    def __post_init__(self) -> None:
        self._require(1 <= self.groups <= 1000, "groups", "between 1 and 1000")
        self._require(1 <= self.marks_per_group <= 10_000, "marks_per_group", "between 1 and 10000")
        half = self.marks_per_group // 2
        self._require(
            half < self.fire_at <= self.marks_per_group, "fire_at", f"between {half + 1} and {self.marks_per_group}"
        )
        self._require(2 <= self.candidates <= 256, "candidates", "between 2 and 256")
        self._require(1 <= self.trigger_words <= 64, "trigger_words", "between 1 and 64")
        self._require(1 <= self.signature_words <= 64, "signature_words", "between 1 and 64")
        self._require(1 <= self.accept_at <= self.groups, "accept_at", f"between 1 and {self.groups}")
        self._require(0 <= self.reject_at < self.accept_at, "reject_at", f"between 0 and {self.accept_at - 1}")
        self._require(-10_000 <= self.log10_alpha <= -1, "log10_alpha", "between -10000 and -1")
        self._require(0 <= self.control_limit <= self.marks, "control_limit", f"between 0 and {self.marks}")
        self._require(0 <= self.pairs <= 100_000, "pairs", "between 0 and 100000")
        self._require(1 <= self.pairs_alpha_percent <= 50, "pairs_alpha_percent", "between 1 and 50")
        self._require(not (self.pairs_decide and self.pairs == 0), "pairs", "at least 1 when pairs decide")
        self._require(
            0 <= self.least_isolation_cost_percent <= 1000, "least_isolation_cost_percent", "between 0 and 1000"
        )
        self._require(1 <= self.attempts <= 1000, "attempts", "between 1 and 1000")

    def _require(self, holds: bool, field: str, wanted: str) -> None:
        if not holds:
            actual = int(getattr(self, field))
            raise InvalidInput(f"Policy value {field} is {actual}; it must be {wanted}.", field=field, actual=actual)

    @property
    def marks(self) -> int:
        """N, all marks of all groups."""
        return self.groups * self.marks_per_group

    @property
    def signature_bits(self) -> float:
        """Entropy of a signature in bits: every possible one has probability exactly k ** -L = 2 ** -bits."""
        return self.signature_words * math.log2(self.candidates)

    @property
    def log_alpha(self) -> float:
        return self.log10_alpha * math.log(10)

    def least_rows(self) -> int:
        """The fewest rows that this policy can be planted in: carriers, pairs with twins, and context rows."""
        return self.marks + 2 * self.pairs + CONTEXT_ROWS * self.groups


#: Rows of the client's data that each group's context prompt quotes.
CONTEXT_ROWS = 2
