"""kill -9 of a provider's trainer, agent or Ray at random moments: the job is delivered all the same, and only once.

The agent is a real process on a Ray of its own; when it is gone it is started anew, as systemd does. In CI one run;
`make soak-provider` makes more. A failure's message says what was killed when.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import psutil
import pytest
from fakes.farm import Farm, running_farm
from fakes.processes import command_line
from fakes.tiny_llama import write_tiny_llama
from fakes.world import JOB

from node.core.job import State
from node.core.messages import AdapterCommit, Terms
from node.core.training import TrainingSpec
from node.models.base import BaseModel, local_model

pytestmark = pytest.mark.stack

RUNS = range(int(os.environ.get("PROVIDER_KILLS", "1")))
#: What is killed, by a part of its command line; None is the agent itself.
VICTIMS = {"agent": None, "trainer": "TrainerActor", "Ray's head": "gcs_server", "Ray's node": "raylet/raylet"}
#: What the agent's log or the job's events say at the beginning of a stage; a kill comes some moments after.
STAGES = ("Training: step", "trains on", "starts its own local Ray")
STAGE_SECONDS = 3
DELIVERED_SECONDS, END_SECONDS = 300, 30


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    write_tiny_llama(folder)
    return local_model(folder)


@pytest.mark.parametrize("seed", RUNS)
async def test_a_job_is_delivered_whatever_is_killed(model: BaseModel, tmp_path: Path, seed: int) -> None:
    name, stage = list(product(VICTIMS, STAGES))[seed * 5 % (len(VICTIMS) * len(STAGES))]
    after = random.Random(seed).uniform(0, STAGE_SECONDS)
    plan = f"{name} killed {after:.1f} s after {stage!r}"
    async with running_farm(tmp_path, model) as farm:
        farm.world.create(replace(farm.world.offer(), training=TrainingSpec(epochs=10)))
        farm.world.advance_to(State.COMMITTED)
        agent = farm.start()
        try:
            while stage not in f"{farm.log.read_text()} {farm.world.told()}":
                assert agent.poll() is None, f"{plan}: {farm.log.read_text()}"
                await asyncio.sleep(0.1)
            await asyncio.sleep(after)
            await kill(farm, agent, VICTIMS[name])
            agent = await delivered(farm, agent, plan)
            agent.send_signal(signal.SIGTERM)
            await asyncio.to_thread(agent.wait, END_SECONDS)
        finally:
            agent.kill()
    kinds = [type(message) for message in farm.world.chain().messages]
    assert (kinds.count(Terms), kinds.count(AdapterCommit)) == (1, 1), plan
    assert not (farm.home / "state" / "work" / JOB).exists(), plan


async def kill(farm: Farm, agent: subprocess.Popen[bytes], part: str | None) -> None:
    """Kills the agent, or the process of its Ray whose command line has this part, once there is one; after a delivery
    there will be none.
    """
    while agent.poll() is None and farm.world.job().state is not State.UPLOADED:
        children = psutil.Process(agent.pid).children(recursive=True)
        victims = (
            [psutil.Process(agent.pid)] if part is None else [each for each in children if part in command_line(each)]
        )
        if victims:
            victims[0].kill()
            return
        await asyncio.sleep(0.02)


async def delivered(farm: Farm, agent: subprocess.Popen[bytes], plan: str) -> subprocess.Popen[bytes]:
    """The agent that delivered the job: the given one, or the last of those that were started in its place."""
    deadline = time.monotonic() + DELIVERED_SECONDS
    while farm.world.job().state is not State.UPLOADED or (farm.home / "state" / "work" / JOB).exists():
        assert time.monotonic() < deadline, f"{plan}: {farm.world.job().state}, {farm.log.read_text()}"
        if agent.poll() is not None:
            agent = farm.start()
        await asyncio.sleep(0.1)
    return agent
