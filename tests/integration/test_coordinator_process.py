"""`hallmark coordinator run` as systemd sees it: metrics from the start, log lines as JSON, and an orderly end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.models.base import BaseModel

pytestmark = pytest.mark.stack

END_SECONDS = 60


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


class Coordinator:
    """A process of its own in `folder`; ends with the block whatever happens in it."""

    def __init__(self, folder: Path, model: BaseModel) -> None:
        self.metrics_port = free_port()
        self.variables = os.environ | {
            "HALLMARK_HOME": str(folder / "home"),
            "HALLMARK_LISTEN": f"127.0.0.1:{free_port()}",
            "HALLMARK_METRICS_LISTEN": f"127.0.0.1:{self.metrics_port}",
        }
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "node", "coordinator", "run", "--model", str(model.folder)],
                env=self.variables,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as answer:
            text: str = answer.read().decode()
        return text

    def wait_until_it_serves(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        assert json.loads(line)["listening_port"]

    def doctor(self) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "node", "doctor", "--serving", "--json"]
        done = subprocess.run(command, env=self.variables, capture_output=True, text=True, check=False)
        return [finding for finding in json.loads(done.stdout) if finding["check"] == "coordinator"]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def coordinator(tmp_path: Path, tiny_llama: BaseModel) -> Iterator[Coordinator]:
    started = Coordinator(tmp_path, tiny_llama)
    yield started
    started.process.kill()
    started.process.communicate()


def test_it_serves_is_watched_and_ends_in_order(coordinator: Coordinator) -> None:
    coordinator.wait_until_it_serves()
    assert "hallmark_database_up 1.0" in coordinator.metrics()
    assert 'hallmark_certificate_not_after_timestamp_seconds{certificate="server"}' in coordinator.metrics()
    (found,) = coordinator.doctor()
    assert found["level"] == "ok"
    assert 'hallmark_grpc_calls_total{code="OK",method="grpc.health.v1.Health/Check"} 1.0' in coordinator.metrics()
    assert 'hallmark_worker_last_round_timestamp_seconds{worker="prompt"}' in coordinator.metrics()

    coordinator.process.send_signal(signal.SIGTERM)
    assert coordinator.process.wait(END_SECONDS) == 0
    told = [line["message"] for line in coordinator.lines()]
    assert any(message.startswith("Serves on port") for message in told)
    assert told[-1].startswith("Goes down")
    assert {line["level"] for line in coordinator.lines()} == {"info"}
    (found,) = coordinator.doctor()
    assert found["level"] == "broken"
