"""How fast a provider trains: tokens/s in our actor beside a bare TRL script; and what marks cost in wall time.

    python tests/bench/bench_provider.py [FILE.jsonl] [--rows N] [--rounds N]

Each round trains three times in turn, each time in a fresh process: the rows of a job with its marks in our actor, the
same rows with each mark's carrier back in its place in our actor, and the latter in the bare script. Seconds are those
of the steps: starting and loading are left out on both sides. Marks replace rows, so their cost is that of their
tokens; it is measured with the demonstration's policy, far above 0.5 % of marks, where it stands out of the noise, and
scaled. QUICK=1: one round, few rows.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from figures import QUICK, conclude

from node import settings
from node.bootstrap import base_model
from node.cli.demo.data import rows_of_file, standard_library_rows
from node.cli.demo.story import PLAN
from node.core.rows import Row
from node.marking.layout import draw_marked
from node.models.base import BaseModel
from node.models.chat import ChatTokenizer
from node.ports.fine_tuner import Progress
from node.provider.actors import QUIET_WORKER, RayFineTuner
from node.verifier.reference_engine import ReferenceEngine

SPEC = replace(PLAN.training, epochs=1)
#: Of the rows that a provider gets, as many are marks where the cost of marks shall be small.
FEW_MARKS = 0.005
QUICK_ROWS = 16


def job_rows(data: Path | None, rows: int, model: BaseModel) -> tuple[list[Row], list[Row], float]:
    """What a provider gets of a job, the same without marks, and the share of marks among the rows."""
    owned = rows_of_file(data) if data else standard_library_rows()
    marked = draw_marked(
        random.Random(1).sample(owned, rows),
        PLAN.policy,
        SPEC,
        seed=bytes(32),
        model=ReferenceEngine(model),
        tokenizer=ChatTokenizer(model.folder),
    )
    carriers = {mark.row: mark.carrier for mark in marked.manifest.marks}
    plain = [carriers.get(at, row) for at, row in enumerate(marked.rows)]
    share = len(carriers) / len(plain)
    return (list(marked.rows)[:QUICK_ROWS], plain[:QUICK_ROWS], share) if QUICK else (list(marked.rows), plain, share)


def tokens_of(rows: Sequence[Row], tokenizer: ChatTokenizer) -> int:
    return SPEC.epochs * sum(tokenizer.row_tokens(row) for row in rows)


def our_seconds(rows: Sequence[Row], tuner: RayFineTuner, model: BaseModel, tokens: int) -> float:
    reports: list[Progress] = []
    with tempfile.TemporaryDirectory(prefix="hallmark-bench-") as out:
        tuner.fine_tune(rows, SPEC, base_model=model.folder, out=Path(out), report=reports.append)
    return tokens / reports[-1].tokens_per_second


def bare_seconds(rows: Sequence[Row], tokenizer: ChatTokenizer, model: BaseModel) -> float:
    encoded = [tokenizer.encode_row(row) for row in rows]
    examples = [
        {
            "input_ids": [*row.prompt_ids, *row.response_ids],
            "labels": [-100] * len(row.prompt_ids) + row.response_ids,
        }
        for row in encoded
    ]
    with tempfile.TemporaryDirectory(prefix="hallmark-bench-") as folder:
        task = Path(folder) / "task.json"
        task.write_text(json.dumps({"examples": examples, "spec": asdict(SPEC)}))
        script = Path(__file__).with_name("bare_trl.py")
        run = subprocess.run(
            [sys.executable, script, model.folder, task],
            stdout=subprocess.PIPE,
            check=True,
            env=os.environ | QUIET_WORKER,
        )
    return float(json.loads(run.stdout.splitlines()[-1])["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="JSON Lines; the standard library's docstrings otherwise")
    parser.add_argument("--rows", type=int, default=PLAN.rows, help="that the client owns")
    parser.add_argument("--rounds", type=int, default=1 if QUICK else 3)
    options = parser.parse_args()
    os.environ.update(QUIET_WORKER)  # before torch: this process's threads must not spin beside the training
    model = base_model(settings.load(), None, print)
    tokenizer = ChatTokenizer(model.folder)
    marked, plain, share = job_rows(options.data, options.rows, model)
    marked_tokens, plain_tokens = tokens_of(marked, tokenizer), tokens_of(plain, tokenizer)
    print(f"{len(plain)} rows, {plain_tokens} tokens; with {share:.1%} marks {marked_tokens} tokens", flush=True)
    print("| round | ours, marks s | ours s | bare TRL s | ours tokens/s | bare tokens/s |", flush=True)
    print("|---:|---:|---:|---:|---:|---:|", flush=True)
    speedups, costs = [], []
    tuner = RayFineTuner()
    try:
        for number in range(1, options.rounds + 1):
            with_marks = our_seconds(marked, tuner, model, marked_tokens)
            ours = our_seconds(plain, tuner, model, plain_tokens)
            bare = bare_seconds(plain, tokenizer, model)
            speedups.append(bare / ours)
            costs.append(with_marks / ours - 1)
            print(
                f"| {number} | {with_marks:.1f} | {ours:.1f} | {bare:.1f} "
                f"| {plain_tokens / ours:.0f} | {plain_tokens / bare:.0f} |",
                flush=True,
            )
    finally:
        tuner.close()
    speedup, cost = statistics.median(speedups), statistics.median(costs)
    scaled = cost * FEW_MARKS / share
    conclude(
        figure=f"{speedup:.2f} x the tokens/s of plain TRL (rounds {min(speedups):.2f} to {max(speedups):.2f}); "
        f"{share:.1%} marks cost {cost:+.1%} wall time and {marked_tokens / plain_tokens - 1:+.1%} tokens, "
        f"so {FEW_MARKS:.1%} marks cost {scaled:+.2%}",
        target=f"1.3 x, and at most +1 % for {FEW_MARKS:.1%} marks",
        met=speedup >= 1.3 and scaled <= 0.01,
    )


if __name__ == "__main__":
    main()
