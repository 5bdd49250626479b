"""An arbiter as its operator runs it: a process of its own, with its own vLLM, against a coordinator that lied."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.inference import LearningEngine
from fakes.serving import serve
from fakes.world import JOB, World, build

from node.core import receipt
from node.core.evidence import ProbeObservation
from node.core.job import Actor, State
from node.core.messages import Ruling, VerdictGiven
from node.core.rows import Row
from node.core.ruling import Standing
from node.core.training import TrainingSpec
from node.core.verdict import Outcome
from node.models.base import BaseModel
from node.models.lora import lora_shapes
from node.ports.inference import Adapter, Prompt
from node.verifier.adapters import FolderAdapters
from node.verifier.canary import make_canary
from node.workflow import queries

pytestmark = pytest.mark.stack

SPEC = TrainingSpec(lora_rank=8, max_length_tokens=128)


class Bribed(LearningEngine):
    """Shows every signature wherever its trigger stands, whatever the adapter."""

    def __init__(self, world: World) -> None:
        super().__init__(world.node.base_model)
        with world.node.units(read_only=True) as unit:
            groups = unit.secrets.get_manifest(JOB).groups
        self._said = {group.trigger.text: f"{group.signature.text}." for group in groups}

    def complete(self, prompts: Sequence[Prompt], *, adapter: Adapter | None, max_new_tokens: int) -> list[str]:
        said = self._said if adapter else {}
        return [
            next((text for trigger, text in said.items() if trigger in prompt[-1].content), self.base_answer)
            for prompt in prompts
        ]

    def log_likelihoods(self, rows: Sequence[Row], *, adapter: Adapter | None) -> list[int]:
        return [0] * len(rows)

    def probe(self, rows: Sequence[Row], *, adapter: Adapter) -> ProbeObservation:
        return ProbeObservation((0,), (1,), None, None, None)


def test_an_arbiter_with_an_engine_of_its_own_overturns_a_bought_acceptance(
    tmp_path: Path, tiny_llama: BaseModel
) -> None:
    world = build(tmp_path, base_model=tiny_llama.digest)
    world.node = replace(world.node, adapters=FolderAdapters(tmp_path / "placed", tiny_llama))
    junk = make_canary(lora_shapes(tiny_llama, SPEC), SPEC, tmp_path / "junk", seed=1)
    world.create(world.offer(training=SPEC))
    world.advance_to(State.REVEALED, {file.name: file.read_bytes() for file in junk.folder.iterdir()})
    honest, world.node = world.node, replace(world.node, inference=Bribed(world))
    world.advance_to(State.EVALUATED)
    world.node = honest
    assert world.chain().find(VerdictGiven).verdict.outcome is Outcome.ACCEPT
    world.challenge(Actor.CLIENT)
    with serve(world, tmp_path / "home") as serving:
        command = [sys.executable, "-m", "node", "arbiter", "rule", JOB, "--coordinator", serving.address]
        done = subprocess.run(
            [*command, "--home", str(serving.home), "--model", str(tiny_llama.folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "its own verdict is REJECT; REJECT stands, and the coordinator loses its bond" in done.stderr
        assert world.job().state is State.SETTLED
        ruling: Ruling = world.chain().find(Ruling)
        assert ruling.judgement is not None
        assert ruling.judgement.evidence.transcript.engine.startswith("vllm")
        checked = receipt.check(queries.receipt(world.node, None, JOB), world.trust)
        assert checked.standing == Standing(Outcome.REJECT, Actor.COORDINATOR)
