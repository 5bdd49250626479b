"""Which checkpoint a training goes on from, as folders on a disk show it; no trainer takes part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.digest import digest
from node.provider.checkpoints import STAMP_FILE, Stamp, latest, stamp, training_digest

ROWS = (Row.of("Why?", "Because."), Row.of("When?", "Now."))
BASE = digest("base-model/v1", b"base")
TRAINING = training_digest(ROWS, TrainingSpec(), BASE)


def checkpoint(folder: Path, step: int, training: str = str(TRAINING)) -> Path:
    made = folder / f"checkpoint-{step}"
    made.mkdir(parents=True)
    (made / "weights").write_bytes(b"weights")
    stamp(made, Stamp(training, step, rows=step * 8, supervised_tokens=step * 80, rows_at_once=8))
    return made


def test_the_checkpoint_with_the_most_steps_is_gone_on_from(tmp_path: Path) -> None:
    made = {step: checkpoint(tmp_path, step) for step in (90, 100, 20)}
    assert latest(tmp_path, TRAINING) == (made[100], Stamp(str(TRAINING), 100, 800, 8000, 8))


def test_where_nothing_was_trained_there_is_none(tmp_path: Path) -> None:
    assert latest(tmp_path / "checkpoints", TRAINING) is None


@pytest.mark.parametrize("content", [None, b"", b'{"training": "sha2', b"[]", b'{"step": 100}'])
def test_a_checkpoint_without_a_whole_stamp_is_deleted(tmp_path: Path, content: bytes | None) -> None:
    complete, torn = checkpoint(tmp_path, 90), checkpoint(tmp_path, 100)
    (torn / STAMP_FILE).unlink()
    if content is not None:
        (torn / STAMP_FILE).write_bytes(content)
    found = latest(tmp_path, TRAINING)
    assert found is not None
    assert found[0] == complete
    assert not torn.exists()


@pytest.mark.parametrize(
    "other",
    [
        training_digest(ROWS[::-1], TrainingSpec(), BASE),
        training_digest(ROWS, replace(TrainingSpec(), seed=2), BASE),
        training_digest(ROWS, TrainingSpec(), digest("base-model/v1", b"another")),
    ],
    ids=["rows", "specification", "base model"],
)
def test_a_checkpoint_of_other_rows_specification_or_base_model_is_deleted(tmp_path: Path, other: object) -> None:
    strange = checkpoint(tmp_path, 5, str(other))
    assert latest(tmp_path, TRAINING) is None
    assert not strange.exists()
