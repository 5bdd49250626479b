"""What a coordinator does in a second: `PYTHONPATH=tests python tests/bench/bench_coordinator.py`.

Rounds alternate, so that all meet the same machine: a row in a commit by the bare driver (as durable as the node's
database), a bare grpc.aio server that echoes a creation's bytes, without TLS and with the node's, and creations: signed
over mutual TLS, each acknowledged when its commit is on the disk. Ratios are per round, told with their quartiles.
Creations meet a coordinator whose worker rests. Whole lives of jobs meet one that works; its models and trainers are
those of the tests, so what counts is everything but them. They begin with the upload of rows and end with the money.

Then three coordinators with 100, 10,000 and 100,000 stored jobs answer in turn: how long a listing, a watch, a look at
a job, and a lease take, and how much memory the largest has in the end. `QUICK=1`: fewer rounds, a tenth of the jobs.
Server and load are processes of their own, so two cores are what it takes. Exit status 1 if a target is missed.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from bench_escrow import bare, commit_raw, per_second
from coordinator_processes import Running, coordinator, echo, started
from fakes.parties import Parties
from fakes.world import BASE_MODEL, key
from figures import QUICK, conclude
from load import (
    CHALLENGE_SECONDS,
    Load,
    Thing,
    client_name,
    clients,
    creations,
    echo_channels,
    echoes,
    lifecycles,
    load,
    offer,
    provider_name,
    providers,
    rows_of,
)
from stored_jobs import fill

from node.core.messages import seal
from node.crypto.certificates import Role
from node.wire import translate
from node.wire.channel import open_channel
from node.wire.hallmark.v1 import jobs_pb2, jobs_pb2_grpc, providers_pb2, providers_pb2_grpc

CALLERS = 16
ROUNDS = 3 if QUICK else 15
COMMITS, ECHOES, CREATIONS = 300, 60, 15
"""of a round; the latter two of each caller"""
WORKERS = 8
LIVES, LIFE_ROUNDS = 2, 1 if QUICK else 3
STORED = (100, 1_000, 10_000) if QUICK else (100, 10_000, 100_000)
LOOKS = 40
TARGET, MOST_MIB, MOST_GROWTH = 0.5, 400, 1.5


class Round(NamedTuple):
    """Each per second."""

    commits: float
    echoes: float
    echoes_tls: float
    creations: float


async def rounds(folder: Path, parties: Parties) -> tuple[list[Round], list[float]]:
    """The rounds, and how long each creation took."""
    folder.mkdir()
    raw = bare(str(folder / "raw.sqlite"))
    raw.execute("CREATE TABLE row (number INTEGER)")
    funded = [client_name(number) for number in range(CALLERS)]
    done: list[Round] = []
    took: list[float] = []
    async with AsyncExitStack() as opened:
        plain = opened.enter_context(started(echo, None))
        tls = opened.enter_context(started(echo, parties))
        node = opened.enter_context(started(coordinator, folder / "node", parties, funded, False))
        channels = await opened.enter_async_context(echo_channels(plain.address, None, CALLERS))
        tls_channels = await opened.enter_async_context(echo_channels(tls.address, parties, CALLERS))
        connected = await opened.enter_async_context(clients(node.address, parties, CALLERS))
        for number in range(-1, ROUNDS):  # the first one only warms up
            data_sets = [(await each.upload_data_set(rows_of(f"{each.key_id} {number}"))).digest for each in connected]
            message = creation_bytes(data_sets[0])
            commits = per_second(COMMITS, lambda: commit_raw(raw, COMMITS))
            echoed = await echoes(channels, message, ECHOES)
            echoed_tls = await echoes(tls_channels, message, ECHOES)
            created = await creations(connected, data_sets, f"round-{number}", CREATIONS)
            if number >= 0:
                done.append(Round(commits, echoed.per_second, echoed_tls.per_second, created.per_second))
                took += created.each_seconds
    raw.close()
    return done, took


def creation_bytes(data_set: str) -> bytes:
    """A request as big as those that create jobs."""
    envelope = seal(offer(client_name(0), "job", data_set), key(client_name(0)))
    return jobs_pb2.CreateJobRequest(offer=translate.envelope_to_wire(envelope)).SerializeToString()


async def lives(folder: Path, parties: Parties) -> list[Load]:
    funded = [name(number) for number in range(WORKERS) for name in (client_name, provider_name)]
    with started(coordinator, folder / "node", parties, funded, True) as node:
        async with (
            clients(node.address, parties, WORKERS) as connected,
            providers(node.address, parties, folder / "work", WORKERS),
        ):
            return [await lifecycles(connected, f"life-{number}", LIVES) for number in range(LIFE_ROUNDS)]


class Looks(NamedTuple):
    """Seconds, each a median, of a coordinator with so many jobs stored."""

    stored: int
    list: float
    get: float
    watch: float
    lease: float


async def looks(folder: Path, parties: Parties) -> tuple[list[Looks], float]:
    """How long each takes at each number of stored jobs, and the memory (MiB) of the coordinator with most of them."""
    async with AsyncExitStack() as opened:
        nodes = []
        for stored in STORED:
            fill(folder / str(stored), stored)
            nodes.append(opened.enter_context(started(coordinator, folder / str(stored), parties, (), True)))
        calls = [await asked(node, parties, opened) for node in nodes]
        seconds: list[list[list[float]]] = [[[] for _ in each] for each in calls]
        for number in range(-1, LOOKS):  # the first one connects
            for node_calls, node_seconds in zip(calls, seconds, strict=True):
                for call, into in zip(node_calls, node_seconds, strict=True):
                    took = (await load([[call]])).seconds
                    if number >= 0:
                        into.append(took)
        medians = [Looks(stored, *map(statistics.median, each)) for stored, each in zip(STORED, seconds, strict=True)]
        return medians, nodes[-1].memory_mib()


async def asked(node: Running, parties: Parties, opened: AsyncExitStack) -> list[Thing]:
    """What a client and a provider ask of this coordinator, in the order of `Looks`."""
    client, provider = [
        await opened.enter_async_context(open_channel(node.address, parties.identity(name, role)))
        for name, role in (("client", Role.CLIENT), ("lessee", Role.PROVIDER))
    ]
    jobs, leases = jobs_pb2_grpc.JobServiceStub(client), providers_pb2_grpc.ProviderServiceStub(provider)
    leased: list[str] = []

    async def page() -> None:
        assert len((await jobs.ListJobs(jobs_pb2.ListJobsRequest(page_size=50))).jobs) == 50

    async def get() -> None:
        await jobs.GetJob(jobs_pb2.GetJobRequest(name="jobs/job-1"))

    async def watch() -> None:
        events = [event async for event in jobs.WatchJob(jobs_pb2.WatchJobRequest(name="jobs/job-1"))]
        assert events[-1].state == jobs_pb2.JOB_STATE_SETTLED

    async def lease() -> None:
        request = providers_pb2.LeaseJobRequest(base_model_digests=[str(BASE_MODEL)], declined_jobs=leased)
        leased.append((await leases.LeaseJob(request)).job)
        assert leased[-1]

    return [page, get, watch, lease]


def quartiles(values: Iterable[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def percentiles(seconds: Sequence[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"p50 {1000 * cuts[49]:.0f} ms, p99 {1000 * cuts[98]:.0f} ms"


def report(done: list[Round], took: list[float], lived: list[Load], looked: list[Looks], memory_mib: float) -> int:
    typical = Round(*(statistics.median(column) for column in zip(*done, strict=True)))
    slower = [each.creations / min(each.commits, each.echoes_tls) for each in done]
    life_seconds = [seconds for load in lived for seconds in load.each_seconds]
    busy = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {busy}; {CALLERS} callers at once, {len(done)} rounds")
    print(f"{'raw commits':26}{typical.commits:8.0f}/s")
    print(f"{'echoes':26}{typical.echoes:8.0f}/s")
    print(f"{'echoes over TLS':26}{typical.echoes_tls:8.0f}/s")
    print(f"{'creations':26}{typical.creations:8.0f}/s   {percentiles(took)}")
    for name, other in (("raw commits", "commits"), ("echoes", "echoes"), ("echoes over TLS", "echoes_tls")):
        print(f"{'  beside ' + name:26}{quartiles(each.creations / getattr(each, other) for each in done)}")
    rate = statistics.median(each.per_second for each in lived)
    print(f"{'lives':26}{rate:8.1f}/s   {percentiles(life_seconds)}, {CHALLENGE_SECONDS} s of which nobody acts")
    print(f"{'stored jobs':>12}" + "".join(f"{name:>10}" for name in Looks._fields[1:]))
    for looks in looked:
        print(f"{looks.stored:12,}" + "".join(f"{1000 * seconds:7.1f} ms" for seconds in looks[1:]))
    growth = max(last / first for first, last in zip(looked[0][1:], looked[-1][1:], strict=True))
    share = statistics.median(slower)
    met = share >= TARGET and memory_mib < MOST_MIB and growth <= MOST_GROWTH
    figure = f"{share:.2f} x the slower of commits and echoes over TLS; {memory_mib:.0f} MiB with {STORED[-1]:,} jobs"
    target = f"{TARGET} x; under {MOST_MIB} MiB; at most {MOST_GROWTH} x"
    conclude(figure=f"{figure}; looks take {growth:.1f} x the time at {STORED[0]}", target=target, met=met)
    return 0 if met else 1


def main() -> int:
    parties = Parties()
    with tempfile.TemporaryDirectory(prefix="bench-coordinator-", dir=Path.cwd()) as name:
        folder = Path(name)
        done, took = asyncio.run(rounds(folder / "rounds", parties))
        lived = asyncio.run(lives(folder / "lives", parties))
        looked, memory_mib = asyncio.run(looks(folder / "looks", parties))
    return report(done, took, lived, looked, memory_mib)


if __name__ == "__main__":
    sys.exit(main())
