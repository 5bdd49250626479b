"""`hallmark verify` from outside: what is refused before any engine starts, and what is told of adapters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import world
from fakes.adapter_drafts import SHAPES, SPEC, Draft, shapes_of, weights
from fakes.adapters import adapter_files
from fakes.inference import LearningEngine

from node.cli import app, verify
from node.core import revealed
from node.core.job import State
from node.core.messages import Chain
from node.core.training import TrainingSpec
from node.core.verdict import Outcome
from node.crypto.digest import sha256_digest
from node.errors import InvalidInput, NotFound
from node.models.base import BaseModel
from node.storage.keys import write_trust
from node.verifier.adapters import FolderAdapters


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> world.World:
    built = world.build(tmp_path_factory.mktemp("job"))
    built.advance_to(State.REVEALED)
    built.database.dispose()
    return built


@pytest.fixture
def manifest(job: world.World, tmp_path: Path) -> Path:
    file = tmp_path / "reveal.json"
    file.write_bytes(revealed.to_bytes(job.chain()))
    return file


def hallmark(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["hallmark", "verify", *map(str, arguments)])
    try:
        app.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def saved(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def store(folder: Path) -> FolderAdapters:
    """Over a base model of one projection, of which only the header is real."""
    header = {"model.layers.0.self_attn.q_proj.weight": {"dtype": "F32", "shape": [5, 5], "data_offsets": [0, 0]}}
    (folder / "base").mkdir()
    (folder / "base" / "model.safetensors").write_bytes(weights(json.dumps(header).encode(), b""))
    return FolderAdapters(folder / "store", BaseModel(sha256_digest(b""), folder / "base"))


# What is refused


def test_a_manifest_that_is_not_there_or_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "letter").write_text("Dear Sir")
    trust = ("--trust", trust_of(tmp_path, trusted=True))
    assert hallmark(monkeypatch, "--adapter", tmp_path, "--manifest", tmp_path / "none", *trust) == 7
    assert hallmark(monkeypatch, "--adapter", tmp_path, "--manifest", tmp_path / "letter", *trust) == 3
    missing, letter = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / 'none'} cannot be read" in missing
    assert f"{tmp_path / 'letter'}: " in letter
    assert "hallmark log reveal" in letter


def test_a_coordinator_whose_key_is_not_pinned_has_its_own_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, manifest: Path
) -> None:
    arguments = ("--adapter", tmp_path, "--manifest", manifest, "--trust", trust_of(tmp_path, trusted=False))
    assert hallmark(monkeypatch, *arguments) == 4
    assert "with --trust" in capsys.readouterr().err


def test_another_base_model_than_the_jobs_is_refused(job: world.World, tmp_path: Path) -> None:
    other = BaseModel(sha256_digest(b"other"), tmp_path)
    with pytest.raises(InvalidInput, match=str(job.node.base_model)):
        verify.require_model(job.chain(), other)


def test_a_folder_that_lacks_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"adapter_config\.json cannot be read"):
        verify.admit(tmp_path, SPEC, store(tmp_path))


def test_an_adapter_that_no_gate_would_take_is_refused_by_the_name_of_its_folder(tmp_path: Path) -> None:
    draft = Draft(SHAPES, SPEC)
    folder = saved(tmp_path / "mine", draft.files() | {"adapter_config.json": b"{}"})
    with pytest.raises(InvalidInput, match="mine: The adapter is refused"):
        verify.admit(folder, SPEC, store(tmp_path))


# What passes


def test_what_peft_saves_beside_the_adapter_is_left_alone(tmp_path: Path) -> None:
    folder = saved(tmp_path / "mine", Draft(SHAPES, SPEC).files() | {"README.md": b"# Model card"})
    candidate = verify.admit(folder, SPEC, store(tmp_path))
    assert (candidate.training, candidate.refusal) == (SPEC, None)


def test_an_adapter_of_another_rank_is_asked_as_one_that_the_job_would_not_have_taken(tmp_path: Path) -> None:
    own = replace(SPEC, lora_rank=2, lora_alpha=4)
    folder = saved(tmp_path / "mine", Draft(shapes_of(own), own).files())
    candidate = verify.admit(folder, SPEC, store(tmp_path))
    assert candidate.training == own
    assert candidate.refusal is not None
    assert "agreed is" in candidate.refusal


@pytest.mark.parametrize(
    ("config", "own"),
    [
        ({"r": 3, "lora_alpha": 16, "target_modules": ["v_proj", "q_proj"]}, ("v_proj", "q_proj")),
        ({"r": 3, "lora_alpha": 16, "target_modules": "all-linear"}, SPEC.target_modules),
        ({"r": 0, "lora_alpha": 16, "target_modules": ["v_proj"]}, SPEC.target_modules),
        ({"r": 3, "lora_alpha": 16, "target_modules": ["lm_head"]}, SPEC.target_modules),
        ({"r": 3, "lora_alpha": 16, "target_modules": [["q_proj"]]}, SPEC.target_modules),
        ([], SPEC.target_modules),
    ],
)
def test_a_configuration_that_names_no_specification_stays_what_was_agreed(
    config: object, own: tuple[str, ...]
) -> None:
    assert verify.own_training(json.dumps(config).encode(), SPEC).target_modules == own


def test_the_same_targets_in_another_order_are_what_was_agreed() -> None:
    agreed = TrainingSpec()
    config = {"r": 32, "lora_alpha": 16, "target_modules": list(reversed(agreed.target_modules))}
    assert verify.own_training(json.dumps(config).encode(), agreed) == agreed


def test_every_adapter_is_judged_as_the_job_would_judge_it(
    job: world.World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain: Chain = job.chain()
    learned = {"trained": job.training_rows(), "idle": ()}
    candidates = [
        verify.admit(saved(tmp_path / name, adapter_files(rows)), chain.offer.training, job.node.adapters)
        for name, rows in learned.items()
    ]
    judged = list(verify.judge(candidates, chain, job.node.adapters, LearningEngine(job.node.base_model)))
    assert [each.judgement.verdict.outcome for each in judged] == [Outcome.ACCEPT, Outcome.REJECT]
    assert [each.accepted for each in judged] == [True, False]
    unlike = replace(judged[0], candidate=replace(candidates[0], refusal="It has another rank."))
    assert not unlike.accepted
    assert "(2 of 2)" in capsys.readouterr().err


def trust_of(folder: Path, *, trusted: bool) -> Path:
    """A file of pinned keys that holds the world's coordinator, or another one."""
    file = folder / "trust.json"
    pinned = world.key("coordinator" if trusted else "stranger").public
    write_trust(file, coordinator=pinned, log=world.key("log").public)
    return file
