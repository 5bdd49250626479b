"""`hallmark provider run` as its operator sees it: SIGTERM ends it within seconds, a restart goes on with its job."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.world import FUNDS_MINOR, JOB, World, build

from node import bootstrap
from node.coordinator.server import build_server
from node.core.job import State
from node.core.training import TrainingSpec
from node.crypto.certificates import Role
from node.models.base import BaseModel
from node.storage import keys, tls
from node.verifier.adapters import FolderAdapters

pytestmark = pytest.mark.stack

START_SECONDS, END_SECONDS, WORK_SECONDS = 120, 20, 240
INTERRUPTED = 130


class Farm:
    """A coordinator with a real gate and no verifier, and the home of a provider that it admitted."""

    def __init__(self, folder: Path, model: BaseModel) -> None:
        self.model, self.home, self.log = model, folder / "provider", folder / "log"
        operator, now_ms = folder / "operator", time.time_ns() // 1_000_000
        tls.make_operator(operator, ["127.0.0.1"], now_ms=now_ms)
        self.access = bootstrap.access(operator)
        tls.admit_here(operator, self.home, Role.PROVIDER, now_ms=now_ms)
        self.world: World = build(folder, base_model=model.digest)
        key, log_key = (keys.load_or_create(operator / "keys" / f"{name}.pem") for name in ("coordinator", "log"))
        gate = FolderAdapters(folder / "placed", model)
        self.world.node = replace(self.world.node, key=key, log_key=log_key, adapters=gate)
        self.world.provider = tls.identity(self.home, Role.PROVIDER).key
        for party in (key, self.world.provider):
            self.world.deposit(party, FUNDS_MINOR)
        self.port = 0

    def start(self) -> subprocess.Popen[bytes]:
        command = ["provider", "run", "--once", "--coordinator", f"127.0.0.1:{self.port}", "--home", str(self.home)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "node", *command, "--model", str(self.model.folder)],
                stderr=log,
                env=os.environ | {"HALLMARK_LOG_FORMAT": "console"},
            )

    async def until(self, told: str) -> None:
        async with asyncio.timeout(START_SECONDS):
            while not any(told in each for each in self.world.told()):
                await asyncio.sleep(0.1)


@pytest.fixture
async def farm(tmp_path: Path, tiny_llama: BaseModel) -> AsyncIterator[Farm]:
    made = Farm(tmp_path, tiny_llama)
    built = build_server(made.world.node, "127.0.0.1:0", made.access)
    made.port = built.port
    await built.server.start()
    yield made
    await built.server.stop(grace=None)
    made.world.database.dispose()


async def test_a_provider_ends_on_sigterm_and_goes_on_with_its_job_after_a_restart(farm: Farm) -> None:
    farm.world.create(replace(farm.world.offer(), training=TrainingSpec(epochs=25)))
    farm.world.advance_to(State.COMMITTED)
    first = farm.start()
    try:
        await farm.until("Training: step")
        first.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.wait, END_SECONDS) == INTERRUPTED, farm.log.read_text()
    finally:
        first.kill()
    assert farm.world.job().state is State.TRAINING
    assert (farm.home / "state" / "work" / JOB / "job.json").exists()
    second = farm.start()
    try:
        assert await asyncio.to_thread(second.wait, WORK_SECONDS) == 0, farm.log.read_text()
    finally:
        second.kill()
    assert farm.world.job().state is State.UPLOADED
    assert not (farm.home / "state" / "work" / JOB).exists()
    assert "Traceback" not in farm.log.read_text()
