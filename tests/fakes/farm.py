"""A coordinator in the test's own process, and the home of a provider whose agent is a real process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from fakes.world import FUNDS_MINOR, World, build

from node import bootstrap
from node.coordinator.server import build_server
from node.crypto.certificates import Role
from node.models.base import BaseModel
from node.storage import keys, tls
from node.verifier.adapters import FolderAdapters

START_SECONDS = 120


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

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """`hallmark provider run` with these options; what it says is appended to `log`."""
        command = ["provider", "run", *options, "--coordinator", f"127.0.0.1:{self.port}", "--home", str(self.home)]
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


@asynccontextmanager
async def running_farm(folder: Path, model: BaseModel) -> AsyncIterator[Farm]:
    made = Farm(folder, model)
    built = build_server(made.world.node, "127.0.0.1:0", made.access)
    made.port = built.port
    await built.server.start()
    yield made
    await built.server.stop(grace=None)
    made.world.database.dispose()
