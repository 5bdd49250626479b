"""`hallmark provider run` as its operator sees it: SIGTERM ends it within seconds, a restart goes on with its job."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.farm import Farm, running_farm
from fakes.world import JOB

from node.core.job import State
from node.core.training import TrainingSpec
from node.models.base import BaseModel

pytestmark = pytest.mark.stack

END_SECONDS, WORK_SECONDS = 20, 240
INTERRUPTED = 130


@pytest.fixture
async def farm(tmp_path: Path, tiny_llama: BaseModel) -> AsyncIterator[Farm]:
    async with running_farm(tmp_path, tiny_llama) as made:
        yield made


async def test_a_provider_ends_on_sigterm_and_goes_on_with_its_job_after_a_restart(farm: Farm) -> None:
    farm.world.create(replace(farm.world.offer(), training=TrainingSpec(epochs=25)))
    farm.world.advance_to(State.COMMITTED)
    first = farm.start("--once")
    try:
        await farm.until("Training: step")
        first.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.wait, END_SECONDS) == INTERRUPTED, farm.log.read_text()
    finally:
        first.kill()
    assert farm.world.job().state is State.TRAINING
    assert (farm.home / "state" / "work" / JOB / "job.json").exists()
    second = farm.start("--once")
    try:
        assert await asyncio.to_thread(second.wait, WORK_SECONDS) == 0, farm.log.read_text()
    finally:
        second.kill()
    assert farm.world.job().state is State.UPLOADED
    assert not (farm.home / "state" / "work" / JOB).exists()
    assert "Traceback" not in farm.log.read_text()
