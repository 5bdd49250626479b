"""Loads of a coordinator: so many callers at once, each of them making its next call when the last was answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import grpc
from coordinator_processes import ECHO
from fakes.agents import working_agent
from fakes.fine_tuner import InstantFineTuner
from fakes.parties import Parties
from fakes.world import BASE_MODEL, DEADLINES, MONEY, POLICY, key

from node.client.client import Client
from node.core import dataset
from node.core.messages import Link, Offer
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.certificates import Role
from node.crypto.digest import Digest
from node.crypto.signing import PublicKey
from node.provider.work import Work
from node.wire.channel import open_channel

ROWS = 40
CALL_SECONDS = 60
#: Between the end of a verdict and its settlement nothing happens but this.
CHALLENGE_SECONDS = 1
#: A provider takes a job only if its evaluation waits for less than that, and many are in hand here.
EVALUATE_SECONDS = 7 * 86_400


Thing = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Load:
    """What a load did: seconds from start to end, and how long each single thing took."""

    seconds: float
    each_seconds: tuple[float, ...]

    @property
    def per_second(self) -> float:
        return len(self.each_seconds) / self.seconds


async def load(callers: Sequence[Sequence[Thing]]) -> Load:
    """Every caller does its things one after the other, all callers at the same time."""
    each: list[float] = []

    async def caller(things: Sequence[Thing]) -> None:
        for thing in things:
            began = time.perf_counter()
            await thing()
            each.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*map(caller, callers))
    return Load(time.perf_counter() - began, tuple(each))


def client_name(number: int) -> str:
    return f"client-{number}"


@asynccontextmanager
async def clients(address: str, parties: Parties, count: int) -> AsyncIterator[list[Client]]:
    """So many connected clients, each a party of its own."""
    async with AsyncExitStack() as stack:
        connected = []
        for number in range(count):
            client = Client(address, parties.identity(client_name(number), Role.CLIENT))
            connected.append(await stack.enter_async_context(client))
            await client.node(wait_seconds=CALL_SECONDS)
        yield connected


@asynccontextmanager
async def echo_channels(address: str, parties: Parties | None, count: int) -> AsyncIterator[list[grpc.aio.Channel]]:
    async with AsyncExitStack() as stack:
        channels = []
        for number in range(count):
            if parties is None:
                channel = grpc.aio.insecure_channel(address)
            else:
                identity = parties.identity(client_name(number), Role.CLIENT)
                credential = identity.credential
                channel = grpc.aio.secure_channel(
                    address,
                    grpc.ssl_channel_credentials(identity.authorities, credential.key, credential.certificate),
                )
            channels.append(await stack.enter_async_context(channel))
            await asyncio.wait_for(channel.channel_ready(), CALL_SECONDS)
        yield channels


async def echoes(channels: Sequence[grpc.aio.Channel], message: bytes, each: int) -> Load:
    return await load([[partial(channel.unary_unary(ECHO), message)] * each for channel in channels])


def rows_of(name: str) -> bytes:
    """A data set that no other job has."""
    return dataset.to_jsonl(
        [Row.of(f"What is said of {name} in {n}?", f"{name} is number {n}. {'It is. ' * (n % 4)}") for n in range(ROWS)]
    )


def offer(client: str, job: str, data_set: str) -> Offer:
    return Offer(
        link=Link(job, 0, None),
        client_key_hex=key(client).public.hex,
        coordinator=key("coordinator").public.key_id,
        arbiter=None,
        base_model=BASE_MODEL,
        dataset=Digest.parse(data_set),
        training=TrainingSpec(),
        policy=POLICY,
        money=MONEY,
        deadlines=replace(
            DEADLINES,
            challenge_seconds=CHALLENGE_SECONDS,
            reveal_seconds=EVALUATE_SECONDS,
            evaluate_seconds=EVALUATE_SECONDS,
        ),
    )


async def creations(connected: Sequence[Client], data_sets: Sequence[str], name: str, each: int) -> Load:
    """Jobs over the same rows, all of which may be offered until marks are hidden in them for one."""

    def one(number: int, turn: int) -> Thing:
        placed = offer(client_name(number), f"{name}-{number}-{turn}", data_sets[number])
        return lambda: connected[number].create_job(placed)

    return await load([[one(number, turn) for turn in range(each)] for number in range(len(connected))])


async def lifecycles(connected: Sequence[Client], name: str, each: int) -> Load:
    """From the upload of the rows to the settlement, for each job."""

    async def one(number: int, job: str) -> None:
        client = connected[number]
        stored = await client.upload_data_set(rows_of(job))
        placed = await client.create_job(offer(client_name(number), job, stored.digest))
        states = [event.state.value async for event in client.watch(placed.name)]
        assert states[-1] == "settled", states

    def job(number: int, turn: int) -> Thing:
        return lambda: one(number, f"{name}-{number}-{turn}")

    return await load([[job(number, turn) for turn in range(each)] for number in range(len(connected))])


@asynccontextmanager
async def providers(address: str, parties: Parties, folder: Path, count: int) -> AsyncIterator[None]:
    """Providers' agents at work; what they train knows its rows by heart, at once."""

    async def provide(name: str) -> None:
        async with open_channel(address, parties.identity(name, Role.PROVIDER)) as channel:
            work = Work(folder / name)
            await working_agent(channel, key(name), work, InstantFineTuner(), coordinators=trusted()).run(once=False)

    working = [asyncio.create_task(provide(provider_name(number))) for number in range(count)]
    try:
        yield
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


def provider_name(number: int) -> str:
    return f"provider-{number}"


def trusted() -> dict[str, PublicKey]:
    public = key("coordinator").public
    return {public.key_id: public}
