"""The verifier's answers held against slow greedy decoding: `PYTHONPATH=tests python tests/bench/exact_verifier.py`.

    exact_verifier.py [CASES] [--record FILE] [--model DIR] [--large ADAPTERS] [--shuffles RUNS]

A case is one prompt on one adapter. Its answer is decoded once, in float32, by transformers, and held against several
signatures: the one that was trained, and others cut from answers at any letter (`fakes.exactness`). Whether a signature
fires, and where answer and signature first differ, must be equal in every one of them. Adapters are trained until they
show their marks, trained less, untrained, and random ones of great strength, whose best tokens nearly tie often. Two
families: SmolLM2, `--large` adapters of it, and a tiny random Llama for the rest. Then all prompts are asked again in
other orders and batches.

FILE keeps what is done: the same command goes on after an interruption. QUICK=1: two adapters of the tiny Llama.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fakes.exactness import hard_signatures, reading
from fakes.tiny_llama import write_tiny_llama
from figures import QUICK, conclude

from node import settings
from node.bootstrap import base_model
from node.cli.bench.job import Task, adapter_in, bench_training, prepare, train
from node.cli.demo.data import standard_library_rows
from node.cli.quiet import hushed
from node.core.evidence import Continuation
from node.core.training import TrainingSpec
from node.models.base import BaseModel, local_model
from node.models.lora import lora_shapes
from node.ports.inference import Adapter, Prompt
from node.provider.actors import QUIET_WORKER
from node.redteam.apart import apart
from node.redteam.idle import IdleFineTuner
from node.verifier.canary import make_canary
from node.verifier.reference_engine import ReferenceEngine
from node.verifier.vllm_engine import VllmEngine

ROWS = 190
PROMPTS = 80  # of the benchmarks' marked job
SMALL_BATCH = 7
#: Log-probabilities of one token may lie so far apart in other orders and batches: a fifth of what the engine calls a
#: near tie, and settles by decoding the prompt alone.
TOLERANCE_MICRONATS = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of one family.

    Attributes:
        training: after which marks are shown.
        half: epochs after which they are shown in part, or hardly.
        adapters: how many; after the two trained ones and an untrained one come random ones.
        shuffles: runs in other orders, every second one in small batches.
    """

    family: str
    model: BaseModel
    training: TrainingSpec
    half: int
    adapters: int
    shuffles: int


@dataclass(frozen=True, slots=True)
class Unit:
    """What came of one adapter's cases, as the record keeps it.

    Attributes:
        signatures: held against the answers of all cases together.
        shown: cases that show the signature that was trained.
        arbitrated: of `signatures`, so many took a decoding to tell; and of those that were trained, one for each case.
        differences: of `signatures`, so many were read otherwise than in the slow answer.
    """

    family: str
    adapter: str
    cases: int
    signatures: int
    shown: int
    arbitrated: int
    trained_arbitrated: int
    differences: int


@dataclass(frozen=True, slots=True)
class Shuffled:
    """How many answers were read otherwise than before, and how far log-probabilities of one token lay apart."""

    otherwise: int
    micronats: int


class Engines:
    """The verifier's engine and the slow one, asked the prompts of one task."""

    def __init__(self, task: Task) -> None:
        self._prompts, self._room = task.prompts, task.manifest.answer_tokens
        self._planted = [signature.text for signature in task.signatures]
        length, rank = task.training.max_length_tokens, task.training.lora_rank
        with hushed():
            self._slow = ReferenceEngine(task.model)
            self._fast = VllmEngine(task.model, max_length_tokens=length, lora_rank=rank)

    def asked(self, family: str, name: str, adapter: Adapter) -> Unit:
        answers = self._slow.complete(self._prompts, adapter=adapter, max_new_tokens=self._room)
        hard = [hard_signatures(answer, answers[at - 1]) for at, answer in enumerate(answers)]
        cases = list(zip(self._prompts, self._planted, answers, strict=True)) + [
            (prompt, signature, answer)
            for prompt, answer, signatures in zip(self._prompts, answers, hard, strict=True)
            for signature in signatures
        ]
        found = self._followed([case[:2] for case in cases], adapter)
        different = [
            f"  {signature!r} held against {answer!r} was followed to {each.text!r}"
            for (_, signature, answer), each in zip(cases, found, strict=True)
            if reading(each.text, signature) != reading(answer, signature)
        ]
        print(*different, sep="\n", end="\n" * bool(different))
        return Unit(
            family,
            name,
            cases=len(answers),
            signatures=len(cases),
            shown=sum(reading(*each)[0] for each in zip(answers, self._planted, strict=True)),
            arbitrated=sum(each.arbitrated for each in found),
            trained_arbitrated=sum(each.arbitrated for each in found[: len(answers)]),
            differences=len(different),
        )

    def shuffled(self, adapter: Adapter, runs: int) -> Shuffled:
        cases = list(zip(self._prompts, self._planted, strict=True))
        first = self._followed(cases, adapter)
        otherwise = micronats = 0
        for run in range(runs):
            order = random.Random(run).sample(range(len(cases)), len(cases))
            size = SMALL_BATCH if run % 2 else len(order)
            for start in range(0, len(order), size):
                batch = order[start : start + size]
                for at, each in zip(batch, self._followed([cases[at] for at in batch], adapter), strict=True):
                    otherwise += reading(each.text, cases[at][1]) != reading(first[at].text, cases[at][1])
                    distances = (abs(a - b) for a, b in zip(each.micronats, first[at].micronats, strict=True))
                    micronats = max(micronats, *distances)
        return Shuffled(otherwise, micronats)

    def _followed(self, cases: Sequence[tuple[Prompt, str]], adapter: Adapter) -> list[Continuation]:
        prompts, signatures = zip(*cases, strict=True)
        return self._fast.follow(prompts, signatures, adapter=adapter, max_new_tokens=self._room)


def adapters(task: Task, plan: Plan, folder: Path) -> Iterator[tuple[str, Adapter]]:
    """Without an end, the one that learned its marks first."""
    yield f"trained for {task.training.epochs} epochs", task.adapter
    less = replace(task.training, epochs=plan.half)
    yield f"trained for {plan.half} epochs", apart(train, task.model, task.marked, less, folder / "half")[0]
    apart(_untrained, task, folder / "untrained")
    yield "untrained", adapter_in(folder / "untrained")
    shapes = lora_shapes(task.model, task.training)
    for seed in itertools.count(1):
        yield f"random {seed}", make_canary(shapes, task.training, folder / "random", seed=seed)


def _untrained(task: Task, out: Path) -> None:
    with hushed():
        IdleFineTuner().fine_tune((), task.training, base_model=task.model.folder, out=out, report=lambda _: None)


def ask(plan: Plan, record: Path) -> tuple[list[Unit], Shuffled]:
    """Everything that is planned for one family and not in the record yet."""
    lines = record.read_text().splitlines() if record.exists() else []
    known = {(unit.family, unit.adapter): unit for unit in (Unit(**json.loads(line)) for line in lines)}
    units = []
    with tempfile.TemporaryDirectory(prefix="hallmark-exact-") as scratch:
        folder = Path(scratch)
        task, _ = apart(prepare, plan.model, standard_library_rows()[:ROWS], plan.training, folder / "trained")
        engines = Engines(task)
        for name, adapter in itertools.islice(adapters(task, plan, folder), plan.adapters):
            unit = known.get((plan.family, name))
            if unit is None:
                unit = engines.asked(plan.family, name, adapter)
                with record.open("a") as file:
                    file.write(json.dumps(asdict(unit)) + "\n")
            print(unit, flush=True)
            units.append(unit)
        shuffled = engines.shuffled(task.adapter, plan.shuffles)
    print(f"{plan.family}, {plan.shuffles} shuffles: {shuffled}", flush=True)
    return units, shuffled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="?", type=int, default=2 * PROMPTS if QUICK else 2000)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--model", type=Path, help="instead of the packaged SmolLM2")
    parser.add_argument("--large", type=int, default=0 if QUICK else 4)
    parser.add_argument("--shuffles", type=int, default=2 if QUICK else 20)
    options = parser.parse_args()
    os.environ.update(QUIET_WORKER)  # before torch, in every process that is started
    with tempfile.TemporaryDirectory(prefix="hallmark-exact-") as scratch:
        plans = []
        if rest := -(-options.cases // PROMPTS) - options.large:
            apart(write_tiny_llama, Path(scratch, "tiny-llama"))
            model = local_model(Path(scratch, "tiny-llama"))
            strong = replace(bench_training(model, 8), learning_rate_ppm=10_000)
            plans.append(Plan("tiny Llama", model, strong, 4, rest, options.shuffles))
        if options.large:
            model = base_model(settings.load(), options.model, print)
            plans.append(Plan("SmolLM2", model, bench_training(model, 8), 4, options.large, options.shuffles))
        record = options.record or Path(scratch, "record.jsonl")
        asked = [apart(ask, plan, record) for plan in plans]
    for plan, (units, shuffled) in zip(plans, asked, strict=True):
        print(f"{plan.family}: {summary(units)}; in other orders and batches: {shuffled}")
    units = [unit for each, _ in asked for unit in each]
    different = sum(unit.differences for unit in units)
    otherwise = sum(shuffled.otherwise for _, shuffled in asked)
    micronats = max(shuffled.micronats for _, shuffled in asked)
    conclude(
        figure=f"{summary(units)}; {otherwise} answers otherwise in other orders and batches, log-probabilities at "
        f"most {micronats} micronats apart",
        target=f"0 differences, 0 in other orders and batches, at most {TOLERANCE_MICRONATS} micronats",
        met=different == otherwise == 0 and micronats <= TOLERANCE_MICRONATS,
    )


def summary(units: Sequence[Unit]) -> str:
    cases, signatures, arbitrated, trained_arbitrated, different = (
        sum(getattr(unit, name) for unit in units)
        for name in ("cases", "signatures", "arbitrated", "trained_arbitrated", "differences")
    )
    return (
        f"{different} differences in {cases} cases held against {signatures} signatures; "
        f"{100 * trained_arbitrated / cases:.1f} % of those that were trained arbitrated, "
        f"{100 * arbitrated / signatures:.1f} % of all"
    )


if __name__ == "__main__":
    main()
