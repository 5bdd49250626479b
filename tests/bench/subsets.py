"""How large a random share of the data passes: one shared trigger against groups, in figures of the base paper.

A trial is a group of marks; a group of which x marks were trained on fires with a given chance. Exact: how the marks
seen fall on the groups is counted, not bounded. Does not know how chances are measured.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from recall import percent

from node.stats import hypergeometric

PAPER = ((100, 6), (10_000, 50))
"""(K rows, N marks) of section 6.1; r = 0.5."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`needed` of `groups` groups must fire; one of which x marks were seen does with `chances[x]`, x = 0 .. m."""

    name: str
    groups: int
    needed: int
    chances: Sequence[float]

    @property
    def marks(self) -> int:
        return self.groups * (len(self.chances) - 1)

    def given(self) -> list[float]:
        """P(enough groups fire | t of all marks were seen), t = 0 .. marks. Every choice of t is equally likely."""
        ways: dict[tuple[int, int], float] = {(0, 0): 1.0}  # of (marks seen, groups fired) so far
        for _ in range(self.groups):
            longer: dict[tuple[int, int], float] = defaultdict(float)
            for (seen, fired), count in ways.items():
                for x, chance in enumerate(self.chances):
                    chosen = count * math.comb(len(self.chances) - 1, x)
                    longer[seen + x, fired + 1] += chosen * chance
                    longer[seen + x, fired] += chosen * (1 - chance)
            ways = longer
        enough = [0.0] * (self.marks + 1)
        for (seen, fired), count in ways.items():
            enough[seen] += count * (fired >= self.needed)
        return [count / math.comb(self.marks, seen) for seen, count in enumerate(enough)]


def passes(rule: Rule, rows: int, draws: int, given: Sequence[float]) -> float:
    """P(a provider passes that trained on `draws` random rows of `rows`)."""
    seen = (math.exp(hypergeometric.log_pmf(t, rows, rule.marks, draws)) for t in range(rule.marks + 1))
    return math.fsum(p * enough for p, enough in zip(seen, given, strict=True))


def least_share(rule: Rule, rows: int, chance: float) -> float:
    """The least share of the rows with which a random subset passes so often."""
    given = rule.given()
    return bisect_left(range(rows + 1), chance, key=lambda draws: passes(rule, rows, draws, given)) / rows


def at_least(needed: int, marks: int, otherwise: float = 0.0) -> list[float]:
    """Chances of a group that surely fires if `needed` of its `marks` were seen; with fewer as `otherwise` says."""
    return [otherwise] * needed + [1.0] * (marks + 1 - needed)


def print_paper() -> None:
    """The figures of section 6.1, as printed and by the paper's own formula."""
    print("| rows K | marks N | passes if | share passing with 1 % | with 50 % |")
    print("| ---: | ---: | --- | ---: | ---: |")
    for rows, marks in PAPER:
        for text, needed in (("B >= rN + 1 (as printed)", marks // 2 + 1), ("B >= rN (by the formula)", marks // 2)):
            shares = [
                hypergeometric.least_draws(needed, rows, marks, math.log(chance)) / rows for chance in (0.01, 0.5)
            ]
            print(f"| {rows:,} | {marks} | {text} | {percent(shares[0])} | {percent(shares[1])} |")


def print_shares(rules: Sequence[Rule], rows: int) -> None:
    """Per rule the shares that pass with 1 % and 50 %, and how often half of the rows passes."""
    print("| marks | a group fires | share passing with 1 % | with 50 % | half of the rows passes with |")
    print("| --- | --- | ---: | ---: | ---: |")
    for rule in rules:
        shape = f"{rule.groups} x {len(rule.chances) - 1}, {rule.needed} of {rule.groups}"
        shares = [least_share(rule, rows, chance) for chance in (0.01, 0.5)]
        half = passes(rule, rows, rows // 2, rule.given())
        print(f"| {shape} | {rule.name} | {percent(shares[0], 1)} | {percent(shares[1], 1)} | {half:.2g} |")
