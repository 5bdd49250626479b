"""Every detector on every scheme over sets of rows: what it finds, in tables.

Knows neither where rows nor where models come from.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from recall import Tally, percent, tally
from schemes import SCHEMES, TRAINING, Planted, Scheme, plant

from node.core.rows import Row
from node.detect.corpus import Corpus
from node.detect.detector import Detector, Scores
from node.detect.detectors import detectors
from node.errors import InvalidInput
from node.ports.language_model import LanguageModel
from node.ports.tokenizer import Tokenizer

#: A detector that reads the model reads all marks, and so many other rows of a set.
SAMPLED_ROWS = 150
SAMPLE_SEED = 1
#: A detector that knows nothing.
CONTROL = "control: by lot"

Tallies = dict[tuple[str, Scheme], Tally]
"""By detector and scheme."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a measurement works with: `generator` gives phrases; without `reader`, what reads a model is not tried."""

    generator: LanguageModel
    reader: LanguageModel | None
    tokenizer: Tokenizer
    say: Callable[[str], None]


def measure(rows: Sequence[Row], seeds: int, means: Means) -> Tallies:
    """What reads the model is tried on the first seed only. A scheme that cannot be planted is said to be left out."""
    found: Tallies = defaultdict(Tally)
    for seed in range(1, seeds + 1):
        for scheme in SCHEMES:
            try:
                planted = plant(scheme, rows, seed=seed, model=means.generator, tokenizer=means.tokenizer)
            except InvalidInput as refusal:
                print(f"Not planted, {scheme.name}, seed {seed}: {refusal}\n")
                continue
            means.say(f"  seed {seed}, {scheme.name}: {len(planted.marks)} marks in {len(planted.rows):,} rows")
            for name, result in _attack(planted, rows, seed, means.reader if seed == 1 else None).items():
                found[name, scheme] += result
    return found


def _attack(planted: Planted, rows: Sequence[Row], seed: int, reader: LanguageModel | None) -> dict[str, Tally]:
    control = Detector(CONTROL, lambda corpus: Scores(np.zeros(len(corpus)), why=lambda row: "by lot"))
    tried = detectors(dose=planted.dose, model=reader)
    whole, lots = Corpus(planted.rows), random.Random(seed)
    found = {}
    for each in (control, *tried):
        corpus, marks = _sample(planted, rows) if each.reads_model else (whole, planted.marks)
        cost_percent = each.cost_percent(corpus, TRAINING.epochs)
        found[each.name] = tally(each.scores(corpus).values, marks, lots, cost_percent)
    return found


def _sample(planted: Planted, rows: Sequence[Row]) -> tuple[Corpus, Sequence[int]]:
    """Unmarked rows, the same for every scheme as far as they are unmarked in it; behind them all marks."""
    marks = [planted.rows[at] for at in planted.marks]
    unmarked = set(planted.rows).difference(marks)
    order = random.Random(SAMPLE_SEED).sample(rows, len(rows))
    kept = [row for row in order if row in unmarked][:SAMPLED_ROWS]
    return Corpus([*kept, *marks]), range(len(kept), len(kept) + len(marks))


def pooled(sets: Sequence[Tallies]) -> Tallies:
    total: Tallies = defaultdict(Tally)
    for found in sets:
        for key, result in found.items():
            total[key] += result
    return total


def families(found: Tallies) -> list[str]:
    """Names of detectors without the length in brackets by which some differ."""
    return list(dict.fromkeys(map(_family, _names(found))))


def strongest(found: Tallies, scheme: Scheme, family: str) -> tuple[str, Tally]:
    """The one of a family that finds most marks of a scheme, chosen in hindsight: its name, and what it found."""
    members = [name for name in _names(found) if _family(name) == family]
    best = max(members, key=lambda name: found[name, scheme].recall)
    return best, found[best, scheme]


def print_strongest(found: Tallies) -> None:
    """A line for each family."""

    def cell(family: str, scheme: Scheme) -> str:
        name, result = strongest(found, scheme, family)
        return f"{result}{name.removeprefix(family)}"

    _print_table({family: [cell(family, scheme) for scheme in SCHEMES] for family in families(found)})


def print_pooled(found: Tallies) -> None:
    """Every detector with its recall; then with the unmarked rows that come before a mark; then with what it costs."""
    names = _names(found)
    _print_table({name: [str(found[name, scheme]) for scheme in SCHEMES] for name in names})
    print("Share of the unmarked rows that score higher than an average mark (50 % for one that knows nothing):\n")
    _print_table({name: [percent(found[name, scheme].clean_share, 1) for scheme in SCHEMES] for name in names})
    dear = {name: max(found[name, scheme].cost_percent for scheme in SCHEMES) for name in names}
    costs = [f"{name} costs {cost:.1f} % of {TRAINING.epochs} epochs" for name, cost in dear.items() if cost]
    print("; ".join([*costs, "whatever only counts costs next to nothing"]) + ".", flush=True)


def _names(found: Tallies) -> list[str]:
    return list(dict.fromkeys(name for name, _ in found))


def _family(name: str) -> str:
    return name.partition(" (")[0]


def _print_table(lines: dict[str, list[str]]) -> None:
    print(f"| detector | {' | '.join(scheme.name for scheme in SCHEMES)} |")
    print(f"| --- |{' ---: |' * len(SCHEMES)}")
    for name, cells in lines.items():
        print(f"| {name} | {' | '.join(cells)} |")
    print(flush=True)
