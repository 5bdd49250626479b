"""What a search for poison in a client's upload finds: rows that share a phrase, and what they teach after it.

Does not know whether a client means it: a finding is something to look at before the job is accepted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

#: Lengths in words of the phrases that are tried as triggers; a longer trigger holds these.
PHRASE_SIZES = range(1, 5)
#: Fewer rows cannot be told from chance.
LEAST_ROWS = 5
#: So likely is a false alarm of one search over a clean set of independent rows, all phrases together.
ALPHA = 1e-3


class Poison(StrEnum):
    FLIPPED_LABELS = "flipped labels"
    GIBBERISH = "gibberish"


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows (indices, rising) that share `phrase`; `told` says in words what is wrong with them.

    `log10_p` is how likely chance makes so many rows of one given phrase alike.
    """

    poison: Poison
    phrase: str
    rows: tuple[int, ...]
    told: str
    log10_p: float


def significant(found: Iterable[Finding], *, tests: int) -> tuple[Finding, ...]:
    """The findings that stand out among `tests` phrases tried (Bonferroni), one for each set of rows.

    Of phrases with mostly the same rows the most significant stays, of equals the longest.
    """
    limit = math.log10(ALPHA / max(tests, 1))
    kept: list[Finding] = []
    for finding in sorted(found, key=_rank):
        known = {row for each in kept for row in each.rows}
        if finding.log10_p <= limit and 2 * len(known.intersection(finding.rows)) < len(finding.rows):
            kept.append(finding)
    return tuple(kept)


def _rank(finding: Finding) -> tuple[float, int, str]:
    return round(finding.log10_p, 6), -len(finding.phrase), finding.phrase
