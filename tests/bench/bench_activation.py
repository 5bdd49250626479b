"""How reliably an honest provider passes a policy: its training, repeated over seeds.

    python tests/bench/bench_activation.py [SEEDS] [--share SHARE] [--noise-percent N] [--placement anywhere] ...

The policy is the demonstration's but for what the options change. Every seed draws other rows, another manifest and
another training order, trains as a provider does, observes and decides as the coordinator does. `--share 0.2` shows the
partial provider instead. QUICK=1: one seed, one epoch, which shows that the command works and nothing else.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from figures import QUICK, conclude

from node import settings
from node.bootstrap import base_model
from node.cli.demo.data import standard_library_rows
from node.cli.demo.story import PLAN
from node.core.adapter import FILES, adapter_digest
from node.core.policy import DecidingTest, Drawing, Placement, Policy
from node.core.training import TrainingSpec
from node.core.verdict import Outcome, Verdict, decide
from node.errors import InvalidInput
from node.marking.layout import draw_marked
from node.models.base import BaseModel
from node.models.chat import ChatTokenizer
from node.ports.inference import Adapter
from node.provider.actors import QUIET_WORKER
from node.redteam.apart import ProcessFineTuner
from node.redteam.partial import random_share
from node.stats.binomial import clopper_pearson
from node.verifier.verifier import Verifier
from node.workflow.verify import observe


def policy_of(options: argparse.Namespace) -> Policy:
    """The demonstration's policy with what the options change.

    Of positions ACCEPT needs as large a share as of groups, but no less than alpha asks for.
    """
    phrases = replace(
        PLAN.policy,
        drawing=Drawing(options.drawing),
        placement=Placement(options.placement),
        noise_percent=options.noise_percent,
        signature_bits=options.signature_bits,
    )
    if options.deciding_test == DecidingTest.GROUPS:
        return phrases
    words = phrases.groups * phrases.most_signature_words
    strict = replace(phrases, deciding_test=DecidingTest.POSITIONS, accept_at=words)
    return replace(
        strict,
        accept_at=max(strict.least_accept_at, phrases.accept_at * words // phrases.groups),
        reject_at=phrases.reject_at * words // phrases.groups,
    )


def once(
    seed: int, share: float, policy: Policy, model: BaseModel, verifier: Verifier, spec: TrainingSpec
) -> tuple[Verdict, float]:
    """One job, from fresh rows to its verdict, and the seconds that its training took, its process's start included."""
    chosen = random.Random(seed).sample(standard_library_rows(), PLAN.rows)
    marked = draw_marked(
        chosen,
        policy,
        spec,
        seed=random.Random(seed).randbytes(32),
        model=verifier,
        tokenizer=ChatTokenizer(model.folder),
    )
    rows = list(marked.rows) if share == 1 else random_share(marked.rows, share=share, seed=seed)
    with tempfile.TemporaryDirectory(prefix="hallmark-bench-") as scratch:
        out, started = Path(scratch), time.monotonic()
        ProcessFineTuner().fine_tune(rows, spec, base_model=model.folder, out=out, report=lambda _: None)
        seconds = time.monotonic() - started
        digest = adapter_digest({name: (out / name).read_bytes() for name in FILES})
        evidence = observe(marked.manifest, policy, Adapter(digest, out), verifier)
    return decide(policy, marked.manifest, evidence), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seeds", nargs="?", type=int, default=1 if QUICK else 10)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--first", type=int, default=1, help="first seed")
    for name, kind in (("drawing", Drawing), ("placement", Placement), ("deciding-test", DecidingTest)):
        default = getattr(PLAN.policy, name.replace("-", "_"))
        parser.add_argument(f"--{name}", choices=[each.value for each in kind], default=default.value)
    parser.add_argument("--noise-percent", type=int, default=PLAN.policy.noise_percent)
    parser.add_argument("--signature-bits", type=int, default=PLAN.policy.signature_bits)
    options = parser.parse_args()
    try:
        policy = policy_of(options)
    except InvalidInput as refusal:
        parser.error(str(refusal))
    print(
        f"{policy.groups} groups of {policy.marks_per_group}, {policy.drawing} words of {policy.signature_bits} bits, "
        f"triggers {policy.placement}, noise {policy.noise_percent} %; "
        f"ACCEPT from {policy.accept_at} {policy.deciding_test} on; {PLAN.rows} rows, {PLAN.training.epochs} epochs",
        flush=True,
    )
    os.environ.update(QUIET_WORKER)  # before torch: the idle engine's threads must not spin beside the training
    spec = replace(PLAN.training, epochs=1) if QUICK else PLAN.training
    model = base_model(settings.load(), None, print)
    with tempfile.TemporaryDirectory(prefix="hallmark-bench-") as scratch:
        verifier = Verifier(
            model, max_length_tokens=spec.max_length_tokens, lora_rank=spec.lora_rank, scratch=Path(scratch)
        )
        accepted = 0
        for seed in range(options.first, options.first + options.seeds):
            each = replace(spec, seed=seed)
            verdict, seconds = once(seed, options.share, policy, model, verifier, each)
            accepted += verdict.outcome is Outcome.ACCEPT
            print(
                f"seed {seed}: {verdict.outcome.name} groups {verdict.groups_fired}/{verdict.groups} "
                f"words {verdict.positions_right}/{verdict.positions} "
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
