"""`hallmark provider status`: what an operator sees of its agent, with the coordinator's word and without it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.world import FUNDS_MINOR, JOB, MONEY, World, build

from node import bootstrap, settings
from node.cli import app
from node.client import client
from node.coordinator.server import Built, build_server
from node.core.capabilities import Capabilities, Machine
from node.core.events import Progress
from node.core.job import State
from node.crypto.certificates import Role
from node.provider import journal
from node.provider.journal import Left
from node.storage import tls
from node.workflow import register

Run = Callable[..., tuple[str, str]]
HALF = Progress(3, 6, 2.5, 1.25, 200.0)
PAY_MINOR = MONEY.price_minor - MONEY.fee_minor


class Farm:
    """A coordinator that runs, and the home of a provider that it admitted."""

    def __init__(self, folder: Path) -> None:
        operator, self.home, now_ms = folder / "operator", folder / "provider", time.time_ns() // 1_000_000
        tls.make_operator(operator, (), now_ms=now_ms)
        tls.admit_here(operator, self.home, Role.PROVIDER, now_ms=now_ms)
        self.world: World = build(folder)
        self.world.provider = tls.identity(self.home, Role.PROVIDER).key
        self.world.deposit(self.world.provider)
        self.key_id = self.world.provider.public.key_id
        self._access = bootstrap.access(operator)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._built: Built = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        self.port = self._built.port

    async def _start(self) -> Built:
        built = build_server(self.world.node, "127.0.0.1:0", self._access)
        await built.server.start()
        return built

    def leave(self) -> None:
        asyncio.run_coroutine_threadsafe(self._built.server.stop(grace=None), self._loop).result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.world.database.dispose()


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    made = Farm(tmp_path)
    yield made
    made.leave()
    made.close()


@pytest.fixture
def status(farm: Farm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; what it says on stdout and stderr."""
    monkeypatch.setenv("HALLMARK_HOME", str(farm.home))
    monkeypatch.setenv("HALLMARK_COORDINATOR", f"127.0.0.1:{farm.port}")
    monkeypatch.setattr(client, "ATTEMPTS", 1)

    def run(*options: str) -> tuple[str, str]:
        monkeypatch.setattr("sys.argv", ["hallmark", "provider", "status", *options])
        with contextlib.suppress(SystemExit):
            app.main()
        out, err = capsys.readouterr()
        return out, err

    return run


def test_an_operator_sees_work_money_record_and_refusals(farm: Farm, status: Run) -> None:
    world = farm.world
    register.register_provider(world.node, farm.key_id, "barn", Capabilities((), Machine()))
    world.advance_to(State.TRAINING)
    world.beat(HALF)
    state = settings.load(home=farm.home).state
    with journal.opened(state) as opened:
        opened.ended("refused", Left("job-0", 1000, "It grants 1 s."))
        opened.note(job=JOB, doing="trains on 34 rows", trouble="It was killed.", progress=HALF)
        out, _ = status()
        assert f"The agent runs; job {JOB}: trains on 34 rows." in out
    for line in (
        "step 3 of 6, epoch 2.5, loss 1.250, 200 tokens/s",
        "trouble           It was killed.",
        f"Provider {farm.key_id} (barn)",
        f"{FUNDS_MINOR - MONEY.stake_minor:,} CREDIT available, {MONEY.stake_minor:,} at stake",
        f"0 CREDIT so far; {PAY_MINOR:,} more if every job in hand is accepted",
        "0 accepted, 0 rejected",
        "It grants 1 s.",
    ):
        assert line in out
    (row,) = [line for line in out.splitlines() if line.split()[:2] == [JOB, "training"]]
    assert all(part in row for part in ("provider", "10,000", "2,000", "about"))

    world.advance_to(State.SETTLED)
    shown = seen(status)
    assert shown["runs"] is False
    assert shown["agent"]["left"] == [{"job": "job-0", "at_ms": 1000, "reason": "It grants 1 s.", "needs_minor": 0}]
    told = shown["coordinator"]
    assert (told["earned_minor"], told["expected_minor"], told["at_stake_minor"]) == (PAY_MINOR, 0, 0)
    assert told["provider"]["record"]["accepted"] == 1
    assert told["jobs"] == []


def test_without_the_coordinator_it_shows_what_the_agent_wrote_down(farm: Farm, status: Run) -> None:
    with journal.opened(settings.load(home=farm.home).state) as opened:
        opened.note(tokens_per_second={str(farm.world.node.base_model): 180.0})
    farm.leave()
    out, err = status()
    assert "What follows is what the agent wrote down." in err
    assert "The agent does not run; no job in hand." in out
    assert "180 tokens/s over base model sha256:" not in out  # shortened
    assert seen(status)["coordinator"] is None


def seen(status: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(status("--json")[0])
    return found
