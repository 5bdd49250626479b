"""What marks cost the client: trainings with and without them, judged on held-out rows (section 5.1 of the paper).

    python tests/bench/bench_quality.py FILE.jsonl [--rows N] [--held-out N] [--epochs N] [--seeds N]

Each seed draws rows, manifest and held-out rows anew and trains twice as a provider does: on the rows that a job would
send it, and on the same rows in the same order with every mark turned back into the row that it replaced. Prints the
held-out loss (nats a response token) and the share of held-out prompts that greedy decoding answers exactly as the
data does, which is the accuracy where responses are labels. Noise is the spread of the paired differences over seeds.
Policy and training are the demonstration's, but words are drawn uniformly: a base model asked for a label is so sure of
it that a metered signature would become far longer than any answer. The fewer the rows, the larger the share that is
marked, and the dearer the marks. Progress goes to stderr. QUICK=1: one seed, one epoch, few rows.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from figures import QUICK, conclude

from node import settings
from node.bootstrap import base_model
from node.cli.demo.data import rows_of_file
from node.cli.demo.story import PLAN
from node.core.adapter import FILES, adapter_digest
from node.core.policy import Drawing
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.core.verdict import decide
from node.marking.layout import Marked, draw_marked
from node.models.base import BaseModel
from node.models.chat import ChatTokenizer
from node.ports.inference import Adapter
from node.provider.actors import QUIET_WORKER
from node.redteam.apart import ProcessFineTuner
from node.verifier.verifier import Verifier
from node.workflow.verify import observe

STARTED = time.monotonic()
POLICY = replace(PLAN.policy, drawing=Drawing.UNIFORM)
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one model on one set of held-out rows: nats a response token, share of prompts answered exactly."""

    loss: float
    exact: float


def say(text: str) -> None:
    print(f"{time.monotonic() - STARTED:5.0f} s  {text}", file=sys.stderr, flush=True)


def without_marks(marked: Marked) -> list[Row]:
    """The training data with each carrier back in the place that its mark took."""
    carriers = {mark.row: mark.carrier for mark in marked.manifest.marks}
    return [carriers.get(at, row) for at, row in enumerate(marked.rows)]


def trained(rows: Sequence[Row], spec: TrainingSpec, model: BaseModel, out: Path) -> Adapter:
    ProcessFineTuner().fine_tune(rows, spec, base_model=model.folder, out=out, report=lambda _: None)
    return Adapter(adapter_digest({name: (out / name).read_bytes() for name in FILES}), out)


def quality(rows: Sequence[Row], adapter: Adapter | None, verifier: Verifier, tokenizer: ChatTokenizer) -> Quality:
    lengths = [len(tokenizer.encode_row(row).response_ids) for row in rows]
    nats = -sum(verifier.log_likelihoods(rows, adapter=adapter)) / 1e6
    prompts = [row.prompt for row in rows]
    answers = verifier.complete(prompts, adapter=adapter, max_new_tokens=max(lengths))
    right = sum(answer.strip() == row.response.strip() for answer, row in zip(answers, rows, strict=True))
    return Quality(nats / sum(lengths), right / len(rows))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half-width of Student's interval of paired differences; infinite for a single one."""
    from scipy.stats import t

    if len(values) < 2:
        return statistics.fmean(values), math.inf
    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return statistics.fmean(values), quantile * statistics.stdev(values) / math.sqrt(len(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="JSON Lines of chat messages or prompt/completion")
    parser.add_argument("--rows", type=int, default=140 if QUICK else 400, help="that the client owns")
    parser.add_argument("--held-out", type=int, default=10 if QUICK else 120)
    parser.add_argument("--epochs", type=int, default=1 if QUICK else PLAN.training.epochs)
    parser.add_argument("--seeds", type=int, default=1 if QUICK else 3)
    options = parser.parse_args()
    os.environ.update(QUIET_WORKER)  # before torch: the idle engine's threads must not spin beside the training
    model = base_model(settings.load(), None, say)
    tokenizer = ChatTokenizer(model.folder)
    rows = list(rows_of_file(options.data))
    losses, shares = [], []
    with tempfile.TemporaryDirectory(prefix="hallmark-bench-") as folder:
        spec = replace(PLAN.training, epochs=options.epochs)
        verifier = Verifier(
            model, max_length_tokens=spec.max_length_tokens, lora_rank=spec.lora_rank, scratch=Path(folder)
        )
        print(
            "| seed | rows | marks | the marked adapter | loss: base | without | with | exact: base | without | with |"
        )
        print("|---:|---:|---:|:---|---:|---:|---:|---:|---:|---:|", flush=True)
        for seed in range(1, options.seeds + 1):
            stream = random.Random(seed)
            drawn = stream.sample(rows, options.rows + options.held_out)
            owned, held_out = drawn[: options.rows], drawn[options.rows :]
            marked = draw_marked(owned, POLICY, spec, seed=stream.randbytes(32), model=verifier, tokenizer=tokenizer)
            seeded, found = replace(spec, seed=seed), []
            for name, training_rows in (("without", without_marks(marked)), ("with", list(marked.rows))):
                adapter = trained(training_rows, seeded, model, Path(folder) / f"{seed}-{name}")
                say(f"seed {seed}: trained {name} marks")
                found.append(quality(held_out, adapter, verifier, tokenizer))
            verdict = decide(POLICY, marked.manifest, observe(marked.manifest, POLICY, adapter, verifier))
            bare, plain, marks = quality(held_out, None, verifier, tokenizer), *found
            losses.append(marks.loss - plain.loss)
            shares.append(marks.exact - plain.exact)
            print(
                f"| {seed} | {len(marked.rows)} | {POLICY.marks} "
                f"| {verdict.outcome.name}, {verdict.groups_fired}/{verdict.groups} groups "
                f"| {bare.loss:.3f} | {plain.loss:.3f} | {marks.loss:.3f} "
                f"| {bare.exact:.1%} | {plain.exact:.1%} | {marks.exact:.1%} |",
                flush=True,
            )
    (loss, loss_noise), (share, share_noise) = interval(losses), interval(shares)
    conclude(
        figure=f"with less without marks: loss {loss:+.3f} ± {loss_noise:.3f} nats, exact answers {share:+.1%} ± "
        f"{share_noise:.1%} ({CONFIDENCE:.0%} interval of the paired differences over {options.seeds} seeds)",
        target="neither differs from zero by more than the noise",
        met=abs(loss) <= loss_noise and abs(share) <= share_noise,
    )


if __name__ == "__main__":
    main()
