"""What the marks withstand: `python tests/bench/bench_marks.py [--data FOLDER] [--no-model] [--seeds N] [--rows N]`.

Prints, as Markdown: the base paper's section 6.1; the share of the data that passes with one shared trigger and with
groups; what each detector finds of the paper's marks and of ours, set by set and pooled; the paper's estimate of its
likeliest signature beside the proved bound; the time of the planner and of a commitment to 100,000 rows. Without a
folder of *.jsonl files the rows are the standard library's docstrings. Phrases come from the packaged model, which is
also what the surprisal detector asks; with --no-model words are counted in the rows instead, and that detector is left
out. Progress goes to stderr. QUICK=1: no model, and every time is taken once.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

from attacks import (
    CONTROL,
    SAMPLED_ROWS,
    Means,
    Tallies,
    families,
    measure,
    pooled,
    print_pooled,
    print_strongest,
    strongest,
)
from figures import QUICK, conclude
from recall import percent
from schemes import LEAST_GROUPS, LEAST_SHARED, MARKED_SHARE, MARKS_PER_GROUP, OURS, PAPER, TRAINING
from stand_ins import CountedWords, Remembering, WordTokenizer
from subsets import Rule, at_least, print_paper, print_shares

from node import settings
from node.bootstrap import base_model
from node.cli.demo.data import rows_of_file, standard_library_rows
from node.cli.plan import SHIPPED
from node.core import document
from node.core.manifest import data_tree
from node.core.policy import Drawing, Policy
from node.core.profile import Profile
from node.core.rows import Row
from node.core.words import separator_of
from node.marking.estimate import SAMPLES, estimate
from node.models.chat import ChatTokenizer
from node.ports.language_model import LanguageModel

LARGE = 10_000
PLAN = f"plan --rows {LARGE} --epochs 3 --false-reject 0.01 --catch-subset 0.5 --eps 1e-6"
MOST_PLAN_SECONDS = 1.0
COMMITTED_ROWS = 100_000
MOST_COMMIT_TIMES = 5.0
REPEATS = 1 if QUICK else 5
#: Of what never happened in 30 groups: the upper limit, wrong with 5 %.
NEVER_IN_30 = 1 - 0.05 ** (1 / 30)
#: The target: no detector finds more of our marks, and these find most of the paper's.
MOST_FOUND, LEAST_FOUND = 0.05, 0.95
COUNTS = ("joint counts", "prompt phrases repeated", "response phrases repeated")
STARTED = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - STARTED:5.0f} s  {text}", file=sys.stderr, flush=True)


def print_subsets() -> None:
    print("## The paper's section 6.1: the share of the data on which a random subset passes\n")
    print_paper()
    print(f"\n## One shared trigger against groups: {LARGE:,} rows\n")
    policy = Policy()
    groups, needed, dose = policy.groups, policy.accept_at, policy.marks_per_group
    rules = [Rule("from 5 marks seen on", 1, 1, at_least(5, 50))]
    for least in (policy.fire_at, dose - 1):
        for name, otherwise in (("never with fewer", 0.0), (f"with fewer in {percent(NEVER_IN_30, 1)}", NEVER_IN_30)):
            rules.append(Rule(f"from {least} on, {name}", groups, needed, at_least(least, dose, otherwise)))
    if SHIPPED.is_file():
        profile = document.from_bytes(Profile, SHIPPED.read_bytes())
        chances = [0.0, *(profile.group_fires_at_most(dose, seen, TRAINING.epochs) for seen in range(1, dose + 1))]
        rules.append(Rule(f"as the profile allows at most, {TRAINING.epochs} epochs", groups, needed, chances))
    print_shares(rules, LARGE)
    print(
        f"\nA group that saw enough marks fires surely. {percent(NEVER_IN_30, 1)} is the upper 95 % limit after 0 of "
        "30 groups.\n"
    )


def data_sets(folder: Path | None) -> Iterator[tuple[str, tuple[Row, ...]]]:
    if folder is None:
        yield "standard library", standard_library_rows()
        return
    for file in sorted(folder.glob("*.jsonl")):
        yield file.stem, rows_of_file(file)


def attack_all(
    folder: Path | None,
    most_rows: int,
    seeds: int,
    engine: LanguageModel | None,
    tokenizer: ChatTokenizer | WordTokenizer,
) -> list[Tallies]:
    """What was found in each set, printed as it comes."""
    print(f"## Marks found at 1 % false positives, {seeds} seed(s)\n")
    print(
        f"Of each set at most {most_rows:,} rows, none above {TRAINING.max_length_tokens} tokens. Marks: "
        f"{percent(MARKED_SHARE, 1)} of them, but at least {LEAST_SHARED} of the paper's and {LEAST_GROUPS} groups of "
        f"{MARKS_PER_GROUP} of ours. What reads the model reads all marks and {SAMPLED_ROWS} other rows, of one seed. "
        "Ties are broken by lot: the control finds 1 % but for luck. Of detectors that differ in a length the one that "
        "found most is shown, its length in brackets. Limits at 95 % (Clopper and Pearson), as if marks were "
        "independent, which those of one group are not.\n"
    )
    sets = []
    for name, rows in data_sets(folder):
        fitting = [row for row in rows if tokenizer.row_tokens(row) <= TRAINING.max_length_tokens][:most_rows]
        say(f"{name}: {len(fitting):,} rows of {len(rows):,}")
        print(f"### {name}: {len(fitting):,} rows of {len(rows):,}\n")
        model = Remembering(engine or CountedWords(fitting))
        sets.append(measure(fitting, seeds, Means(model, model if engine else None, tokenizer, say)))
        print_strongest(sets[-1])
    return sets


def print_estimates(rows: Sequence[Row]) -> None:
    """Over counted words: a model would read a text for every word of every sample."""
    print(f"\n## The likeliest signature: the paper's estimate over {SAMPLES:,} samples beside the proved bound\n")
    separator, words = separator_of(row.response for row in rows), CountedWords(rows)
    print("| signatures | different samples | estimated p_upper | proved bound |")
    print("| --- | ---: | ---: | ---: |")
    for bits, drawing in product((6, 10), Drawing):
        say(f"{SAMPLES:,} signatures, {drawing}, {bits} bits")
        policy = Policy(drawing=drawing, signature_bits=bits)
        found = estimate([rows[0].prompt], separator, policy, model=words, seed=bytes(32))
        print(
            f"| {drawing}, at least {bits} bits | {found.distinct:,} | {found.p_upper:.2g} | {found.proved:.2g} |",
            flush=True,
        )
    print(
        "\nUniform signatures have the bound as their exact probability. With 32 bits hardly two samples are alike: "
        f"the estimate is {1 / SAMPLES:.2g}, whatever the truth."
    )


def seconds(work: Callable[[], object]) -> float:
    """The median of some repetitions."""
    took = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def plan_once() -> None:
    """Fails unless the planner answers; that the profile at hand allows no such policy is an answer."""
    done = subprocess.run([sys.executable, "-m", "node", *PLAN.split()], capture_output=True, text=True, check=False)
    if done.returncode and "No policy meets these targets" not in done.stderr:
        raise RuntimeError(done.stderr)


def print_times() -> None:
    print(f"\n## Times, the median of {REPEATS}\n" if REPEATS > 1 else "\n## Times\n")
    if SHIPPED.is_file():
        say("planner")
        took = seconds(plan_once)
        verdict = "met" if took <= MOST_PLAN_SECONDS else "not met"
        print(f"- `hallmark {PLAN}`, with Python's start: {took:.2f} s; target {MOST_PLAN_SECONDS:.0f} s: {verdict}")
    else:
        print("- The planner was not timed: no calibration profile ships yet.")
    say(f"commitment to {COMMITTED_ROWS:,} rows")
    rows = [Row.of(f"What is {at} plus {at}?", f"{at} plus {at} is {2 * at}. " * 3) for at in range(COMMITTED_ROWS)]
    once = seconds(lambda: [hashlib.sha256(document.to_bytes(row)).digest() for row in rows])
    tree = seconds(lambda: data_tree(rows, bytes(32)))
    verdict = "met" if tree <= MOST_COMMIT_TIMES * once else "not met"
    print(
        f"- Salted Merkle tree over {COMMITTED_ROWS:,} rows: {tree:.1f} s; every row made canonical and hashed once "
        f"{once:.1f} s: {tree / once:.2f} x; target {MOST_COMMIT_TIMES:.0f} x: {verdict}"
    )


def conclusion(found: Tallies, *, with_model: bool) -> None:
    """The scheme of ours that hides best, by the detector that finds most of it; and what finds the paper's."""
    print("\n## The target\n")
    tried = [family for family in families(found) if family != CONTROL]
    finders = {
        scheme: sorted((strongest(found, scheme, family) for family in tried), key=lambda each: -each[1].recall)
        for scheme in OURS
        if found[CONTROL, scheme].marks
    }
    for scheme, ranked in finders.items():
        over = [f"{name}, {result}" for name, result in ranked if result.recall > MOST_FOUND]
        print(f"- {scheme.name}; more than {percent(MOST_FOUND)} is found by: {'; '.join(over) or 'none'}")
    hidden = min(finders, key=lambda scheme: [result.recall for _, result in finders[scheme]])
    worst, most = finders[hidden][0]
    joined = found["self-join", PAPER]
    counter, counted = max((strongest(found, PAPER, family) for family in COUNTS), key=lambda each: each[1].recall)
    conclude(
        figure=f"ours, {hidden.name}: {worst} finds {most}{'' if with_model else '; surprisal was not tried'}. "
        f"The paper's: the self-join finds {joined}, {counter} {counted}",
        target=f"any at most {percent(MOST_FOUND)} of ours; both at least {percent(LEAST_FOUND)} of the paper's",
        met=with_model and most.recall <= MOST_FOUND and min(joined.recall, counted.recall) >= LEAST_FOUND,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of *.jsonl files")
    parser.add_argument("--model", action=argparse.BooleanOptionalAction, default=not QUICK, help="the packaged model")
    parser.add_argument("--seeds", type=int, default=1, help="of all but what reads the model")
    parser.add_argument("--rows", type=int, default=1000, help="of each set at most")
    options = parser.parse_args()
    if options.data and not any(options.data.glob("*.jsonl")):
        parser.error(f"{options.data} holds no *.jsonl file")
    engine: LanguageModel | None = None
    tokenizer: ChatTokenizer | WordTokenizer = WordTokenizer()
    if options.model:
        from node.verifier.reference_engine import ReferenceEngine

        model = base_model(settings.load(), None, say)
        engine, tokenizer = ReferenceEngine(model), ChatTokenizer(model.folder)
    print_subsets()
    sets = attack_all(options.data, options.rows, options.seeds, engine, tokenizer)
    found = pooled(sets)
    print("## All sets together\n")
    print_pooled(found)
    print_estimates(standard_library_rows())
    print_times()
    conclusion(found, with_model=engine is not None)


if __name__ == "__main__":
    main()
