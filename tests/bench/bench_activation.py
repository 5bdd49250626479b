"""How reliably an honest provider passes the demonstration's policy: its training, repeated over seeds.

    python tests/bench/bench_activation.py [SEEDS] [--share SHARE]

Every seed draws other rows, another manifest and another training order, trains as a provider does, observes and
decides as the coordinator does. `--share 0.2` shows the partial provider instead. QUICK=1: one seed, one epoch, which
shows that the command works and nothing else.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import random
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from figures import QUICK, conclude

from node import settings
from node.bootstrap import base_model
from node.cli.demo.data import standard_library_rows
from node.cli.demo.story import PLAN
from node.core.adapter import FILES, adapter_digest
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.core.verdict import Outcome, Verdict, decide
from node.marking.layout import draw_marked
from node.models.base import BaseModel
from node.models.chat import ChatTokenizer
from node.ports.inference import Adapter
from node.provider.actors import QUIET_WORKER
from node.redteam.partial import random_share
from node.stats.binomial import clopper_pearson
from node.verifier.verifier import Verifier
from node.workflow.verify import observe


def train(rows: list[Row], spec: TrainingSpec, model: Path, out: Path) -> float:
    """Runs in a process of its own, as a provider's actor does; returns the seconds of training alone."""
    from node.provider.trainer import train_lora

    started = time.monotonic()
    train_lora(rows, spec, base_model=model, out=out, report=lambda _: None)
    return time.monotonic() - started


def once(seed: int, share: float, model: BaseModel, verifier: Verifier, spec: TrainingSpec) -> tuple[Verdict, float]:
    """One job, from fresh rows to its verdict, and the seconds that its training took."""
    chosen = random.Random(seed).sample(standard_library_rows(), PLAN.rows)
    marked = draw_marked(
        chosen,
        PLAN.policy,
        spec,
        seed=random.Random(seed).randbytes(32),
        model=verifier,
        tokenizer=ChatTokenizer(model.folder),
    )
    rows = list(marked.rows) if share == 1 else random_share(marked.rows, share=share, seed=seed)
    with tempfile.TemporaryDirectory(prefix="hallmark-bench-") as scratch:
        out = Path(scratch)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            seconds = pool.submit(train, rows, spec, model.folder, out).result()
        digest = adapter_digest({name: (out / name).read_bytes() for name in FILES})
        evidence = observe(marked.manifest, PLAN.policy, Adapter(digest, out), verifier)
    return decide(PLAN.policy, marked.manifest, evidence), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seeds", nargs="?", type=int, default=1 if QUICK else 10)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--first", type=int, default=1, help="first seed")
    options = parser.parse_args()
    os.environ.update(QUIET_WORKER)  # before torch: the idle engine's threads must not spin beside the training
    spec = dataclasses.replace(PLAN.training, epochs=1) if QUICK else PLAN.training
    model = base_model(settings.load(), None, print)
    with tempfile.TemporaryDirectory(prefix="hallmark-bench-") as scratch:
        verifier = Verifier(
            model, max_length_tokens=spec.max_length_tokens, lora_rank=spec.lora_rank, scratch=Path(scratch)
        )
        accepted = 0
        for seed in range(options.first, options.first + options.seeds):
            each = dataclasses.replace(spec, seed=seed)
            verdict, seconds = once(seed, options.share, model, verifier, each)
            accepted += verdict.outcome is Outcome.ACCEPT
            print(
                f"seed {seed}: {verdict.outcome.name} groups {verdict.groups_fired}/{verdict.groups} "
                f"marks {verdict.marks_fired} fresh {verdict.fresh_fired} controls {verdict.controls_fired} "
                f"pairs {verdict.pairs_won}/{verdict.pairs} training {seconds:.0f} s",
                flush=True,
            )
    low, high = clopper_pearson(accepted, options.seeds, 0.95)
    honest = options.share == 1
    conclude(
        figure=f"{accepted} of {options.seeds} accepted (95 % interval {low:.0%} to {high:.0%})",
        target="all accepted" if honest else "none accepted",
        met=accepted == (options.seeds if honest else 0),
    )


if __name__ == "__main__":
    main()
