"""`hallmark vet` with a real engine: what reaches stdout and stderr, rows that do not fit, and Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from node.cli.options import INTERRUPTED
from node.core.dataset import to_jsonl
from node.core.rows import Row
from node.models.base import BaseModel

pytestmark = pytest.mark.stack

ROWS = [Row.of(f"What is number {n}?", f"It is a number, the one before {n + 1}.") for n in range(40)]
#: The tiny model's context is 512 tokens, and a word is one token at the least.
LONG_PROMPT = Row.of("why " * 600, "Because.")
LONG_RESPONSE = Row.of("Why?", "because " * 600)


#: An import of a module that is None fails as if it were not installed.
WITHOUT_VLLM = "import sys; sys.modules['vllm'] = None; from node.cli.app import main; main()"


def vet(file: Path, model: BaseModel, *program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *(program or ("-m", "node")), "vet", str(file), "--model", str(model.folder), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_rows_that_do_not_fit_are_named_and_libraries_are_silent(tiny_llama: BaseModel, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(to_jsonl([LONG_PROMPT, *ROWS, LONG_RESPONSE]))
    out, err = vet(file, tiny_llama).communicate()
    told = json.loads(out)
    assert (told["rows"], told["model"], told["lines_not_read"]) == (42, True, [1])
    assert {column["detector"] for column in told["detectors"]} >= {"surprisal", "perplexity"}
    assert err.splitlines() == [
        "Starting vLLM, about 10 s",
        "Read 20 of 41 rows; less than a minute remains",
        "Read 40 of 41 rows; less than a minute remains",
        "Read 41 of 41 rows",
    ]


def test_transformers_read_where_vllm_is_not_installed(tiny_llama: BaseModel, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(to_jsonl(ROWS[:20]))
    out, err = vet(file, tiny_llama, "-c", WITHOUT_VLLM).communicate()
    assert json.loads(out)["model"] is True
    assert err.splitlines() == [
        "Starting vLLM, about 10 s",
        "vLLM is not installed. Starting transformers instead, which reads the rows one by one.",
        "Read 20 of 20 rows",
    ]


def test_ctrl_c_while_rows_are_read_ends_the_command_and_all_that_it_started(
    tiny_llama: BaseModel, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(to_jsonl([Row.of(f"What is {n}?", "A number. " * 40) for n in range(4000)]))
    command = vet(file, tiny_llama)
    assert command.stderr
    while not command.stderr.readline().startswith("Read "):
        assert command.poll() is None
    started = psutil.Process(command.pid).children(recursive=True)
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=60)
    assert (command.returncode, out) == (INTERRUPTED, "")
    assert err.endswith("hallmark: interrupted; everything that was started has ended.\n")
    assert psutil.wait_procs(started, timeout=5)[1] == []
