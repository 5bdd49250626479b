"""Another trainer in place of ours: a command of the operator's, in a process and an environment of its own.

It gets a folder and leaves an adapter in it; `deploy/TRAINER.md` is its contract. Knows neither Ray nor torch.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from node.core.adapter import CONFIG, WEIGHTS
from node.core.dataset import to_jsonl
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import InvalidInput, Unavailable
from node.models.base import local_model
from node.models.lora import adapter_config
from node.ports.fine_tuner import Progress
from node.provider.checkpoints import training_digest

#: The exit code of a trainer that cannot do this task, however often it is asked (EX_DATAERR of sysexits.h).
REFUSED = 65
#: So much of what the trainer wrote last is told.
TOLD_BYTES = 1000


def train_by(
    command: Sequence[str],
    rows: Sequence[Row],
    spec: TrainingSpec,
    *,
    base_model: Path,
    out: Path,
    report: Callable[[Progress], None],
) -> None:
    """Has `command` train in `out`, and leaves the adapter there. Ends with it, and it with this process.

    Raises:
        InvalidInput: the trainer refuses the task.
        Unavailable: there is no such command, or it ended without an adapter.
    """
    _write_task(rows, spec, base_model, out)
    log = out / "trainer.log"
    guarded = [sys.executable, "-m", "node.provider.guard", *command, str(out)]
    with (
        log.open("ab") as errors,
        subprocess.Popen(guarded, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as trainer,
    ):
        assert trainer.stdout  # noqa: S101  # for the type checker: it is a pipe
        for line in trainer.stdout:
            if progress := _progress(line):
                report(progress)
        code = trainer.wait()
    trained = out / "adapter" / WEIGHTS
    if code == 0 and trained.is_file():
        trained.replace(out / WEIGHTS)
        (out / CONFIG).write_bytes(adapter_config(spec))
        return
    why = _last_line(log)
    if code == REFUSED:
        raise InvalidInput(f"The trainer {command[0]} refuses this job: {why}", field="training")
    raise Unavailable(f"The trainer {command[0]} ended with exit code {code} and left no adapter: {why}")


def _write_task(rows: Sequence[Row], spec: TrainingSpec, base_model: Path, out: Path) -> None:
    """The folder's content. What another task left there is removed: its checkpoints would be of no use."""
    task = {
        "training_digest": str(training_digest(rows, spec, local_model(base_model).digest)),
        "base_model": str(base_model.resolve()),
        "training": asdict(spec),
    }
    file, text = out / "task.json", json.dumps(task, indent=2) + "\n"
    if file.is_file() and file.read_text() != text:
        shutil.rmtree(out)
    for name in ("checkpoints", "adapter"):
        (out / name).mkdir(parents=True, exist_ok=True)
    (out / "rows.jsonl").write_bytes(to_jsonl(rows))
    file.write_text(text)


def _progress(line: bytes) -> Progress | None:
    """A line of a trainer's standard output, if it is a report."""
    try:
        said = json.loads(line)
        return Progress(
            step=int(said["step"]),
            steps=int(said["steps"]),
            epoch=float(said["epoch"]),
            loss=float(said["loss"]),
            tokens_per_second=float(said["tokens_per_second"]),
        )
    except (ValueError, TypeError, KeyError):
        return None


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-TOLD_BYTES:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing."
