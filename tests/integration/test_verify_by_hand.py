"""`hallmark verify` on a real model and a real adapter, by the engine that needs no vLLM."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import world

from node.cli import app
from node.core import document, revealed
from node.core.job import State
from node.core.messages import Judgement
from node.core.training import TrainingSpec
from node.core.verdict import Outcome
from node.detect.adapter import identity_of
from node.models.base import BaseModel
from node.models.lora import lora_shapes
from node.storage.keys import write_trust
from node.verifier.canary import make_canary

pytestmark = pytest.mark.stack

TRAINING = TrainingSpec(lora_rank=8, max_length_tokens=128)
POLICY = replace(world.POLICY, groups=2, marks_per_group=2, fire_at=2, pairs=2)


def test_a_job_judged_by_hand_from_its_messages(
    tiny_llama: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The job's own adapter is a fake one; the one in hand is real and has learned nothing of the job."""
    job = world.build(tmp_path, base_model=tiny_llama.digest)
    job.create(job.offer(policy=POLICY, training=TRAINING))
    job.advance_to(State.REVEALED)
    (tmp_path / "reveal.json").write_bytes(revealed.to_bytes(job.chain()))
    write_trust(tmp_path / "trust.json", coordinator=world.key("coordinator").public, log=world.key("log").public)
    job.database.dispose()
    adapter = make_canary(lora_shapes(tiny_llama, TRAINING), TRAINING, tmp_path / "mine", seed=1)

    paths = {"manifest": "reveal.json", "trust": "trust.json", "save": "evidence.json", "adapter": "mine"}
    options = [word for name, file in paths.items() for word in (f"--{name}", str(tmp_path / file))]
    command = ["hallmark", "verify", *options, "--model", str(tiny_llama.folder), "--engine", "transformers", "--json"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as end:
        app.main()

    assert end.value.code == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["groups_fired"], told["pairs"]) == ("reject", 0, 2)
    assert told["digest"] == str(identity_of({path.name: path for path in adapter.folder.iterdir()}))
    (saved,) = json.loads((tmp_path / "evidence.json").read_bytes())
    judgement = document.from_json(Judgement, saved)
    assert judgement.verdict.outcome is Outcome.REJECT
    assert judgement.evidence.transcript.base_model == tiny_llama.digest
