"""A trainer of the operator's own, as small scripts in real processes: what it is given, and how it may end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from node.core.dataset import to_jsonl
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import InvalidInput, Unavailable
from node.models.lora import adapter_config
from node.ports.fine_tuner import Progress
from node.provider.external import REFUSED, train_by

SPEC = TrainingSpec(epochs=2)
ROWS = (Row.of("Why?", "Because."), Row.of("日本語?", "はい。"))
LEAVES_ADAPTER = "(folder / 'adapter' / 'adapter_model.safetensors').write_bytes(b'trained')\n"


@pytest.fixture
def base_model(tmp_path: Path) -> Path:
    """As much of a model's directory as identifies one."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}")
    (folder / "chat_template.jinja").write_text("")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def script(folder: Path, body: str) -> list[str]:
    file = folder / "trainer.py"
    file.write_text(f"import json, os, pathlib, signal, sys, time\nfolder = pathlib.Path(sys.argv[1])\n{body}")
    return [sys.executable, str(file)]


def train(base_model: Path, body: str, spec: TrainingSpec = SPEC) -> tuple[Path, list[Progress]]:
    reports: list[Progress] = []
    out = base_model.parent / "out"
    train_by(script(base_model.parent, body), ROWS, spec, base_model=base_model, out=out, report=reports.append)
    return out, reports


def test_a_trainer_is_given_rows_specification_and_base_model(base_model: Path) -> None:
    out, _ = train(base_model, LEAVES_ADAPTER)
    task = json.loads((out / "task.json").read_text())
    assert (out / "rows.jsonl").read_bytes() == to_jsonl(ROWS)
    assert task["base_model"] == str(base_model)
    assert TrainingSpec(**{**task["training"], "target_modules": tuple(task["training"]["target_modules"])}) == SPEC
    assert set(task["training"]) == set(asdict(SPEC))


def test_its_adapter_is_taken_and_the_configuration_is_ours(base_model: Path) -> None:
    out, _ = train(base_model, LEAVES_ADAPTER + "(folder / 'adapter' / 'adapter_config.json').write_text('{}')")
    assert (out / "adapter_model.safetensors").read_bytes() == b"trained"
    assert (out / "adapter_config.json").read_bytes() == adapter_config(SPEC)


def test_its_reports_arrive_and_what_else_it_prints_is_passed_over(base_model: Path) -> None:
    said = '{"step": 1, "steps": 4, "epoch": 0.5, "loss": 2, "tokens_per_second": 9.5, "more": "not asked for"}'
    noise = ["loading ...", "[1]", '{"step": 2}', said.replace("0.5", '"soon"'), "\\xff"]
    body = "".join(f"print('{line}')\n" for line in [*noise, said]) + LEAVES_ADAPTER
    assert train(base_model, body)[1] == [Progress(1, 4, 0.5, 2.0, 9.5)]


def test_a_refused_task_is_given_up_with_the_reason(base_model: Path) -> None:
    with pytest.raises(InvalidInput, match="refuses this job: rank 32 is too much"):
        train(base_model, f"print('rank 32 is too much', file=sys.stderr); sys.exit({REFUSED})")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise RuntimeError('a tensor is missing')", "exit code 1 .* a tensor is missing"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "exit code 137 .* it said nothing"),
        ("", "exit code 0 and left no adapter"),
    ],
    ids=["an error", "killed", "no adapter"],
)
def test_a_trainer_that_ends_without_an_adapter_may_be_tried_again(base_model: Path, body: str, told: str) -> None:
    with pytest.raises(Unavailable, match=told):
        train(base_model, body)


def test_a_command_that_is_not_there_is_unavailable(base_model: Path) -> None:
    out = base_model.parent / "out"
    with pytest.raises(Unavailable, match="cannot be started: No such file"):
        train_by(["/no/such"], ROWS, SPEC, base_model=base_model, out=out, report=lambda _: None)


def test_checkpoints_are_kept_for_the_next_attempt_and_for_no_other_training(base_model: Path) -> None:
    counts = "saved = (folder / 'checkpoints' / 'count').open('a'); saved.write('x'); saved.close()\n"
    with pytest.raises(Unavailable):
        train(base_model, counts + "sys.exit(1)")
    out, _ = train(base_model, counts + LEAVES_ADAPTER)
    assert (out / "checkpoints" / "count").read_text() == "xx"
    train(base_model, counts + LEAVES_ADAPTER, replace(SPEC, seed=2))
    assert (out / "checkpoints" / "count").read_text() == "x"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_trainer_ends_by_sigterm_when_whoever_called_it_is_gone(base_model: Path, how: signal.Signals) -> None:
    folder = base_model.parent
    trainer = script(
        folder,
        "signal.signal(signal.SIGTERM, lambda *_: ((folder / 'told').touch(), sys.exit(0)))\n"
        "(folder / 'pid').write_text(str(os.getpid()))\n"
        "time.sleep(60)\n",
    )
    caller = (
        "from pathlib import Path\n"
        "from node.core.rows import Row\n"
        "from node.core.training import TrainingSpec\n"
        "from node.provider.external import train_by\n"
        f"train_by({trainer!r}, [Row.of('a', 'b')], TrainingSpec(), base_model=Path({str(base_model)!r}),\n"
        f"         out=Path({str(folder / 'out')!r}), report=print)\n"
    )
    with subprocess.Popen([sys.executable, "-c", caller]) as running:
        pid = int(until(folder / "out" / "pid"))
        running.send_signal(how)
    until(folder / "out" / "told", empty=True)
    deadline = time.monotonic() + 10
    while exists(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def until(file: Path, *, empty: bool = False) -> str:
    """The file's content once it has some."""
    deadline = time.monotonic() + 30
    while not file.exists() or not (empty or file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return file.read_text()


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
