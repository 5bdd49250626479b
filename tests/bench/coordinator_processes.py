"""Processes that a load is sent to: a coordinator over a folder, and a bare grpc.aio server that echoes bytes.

A coordinator is as `node.bootstrap` starts one: its own gRPC server, its worker, SQLite. Instead of models it has those
of the tests, which answer at once; Ray and the tokenizers' library are loaded all the same, for they take memory.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import psutil
from fakes.parties import Parties
from fakes.world import MONEY, World, build, key

from node.bootstrap import SystemClock, SystemEntropy
from node.coordinator import server, worker
from node.coordinator.limits import CallLimits
from node.ports.escrow import EscrowCall

ECHO = "/bench.Echo/Echo"
#: Nobody is slowed down here.
LIMITS = CallLimits(calls_per_second=1e6, burst_calls=1_000_000)
#: Enough for every job of a run.
FUNDS_MINOR = 10**12


@dataclass(frozen=True, slots=True)
class Running:
    """A process that listens on `port` of this machine."""

    port: int
    process: psutil.Process

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def memory_mib(self) -> float:
        return float(self.process.memory_info().rss) / 2**20


@contextmanager
def started(serve: Callable[..., None], *arguments: Any) -> Iterator[Running]:
    """`serve(pipe, *arguments)` in a process of its own, which ends with the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    yield Running(ours.recv(), psutil.Process(process.pid))
    ours.close()
    process.join()


def world_in(folder: Path, funded: Sequence[str]) -> World:
    """A world over a folder, by wall time; the parties of these names are rich, and so is the node."""
    folder.mkdir(parents=True, exist_ok=True)
    world = build(folder)
    world.node = replace(world.node, clock=SystemClock(), entropy=SystemEntropy())
    with world.node.units() as unit:
        for name in (*funded, "coordinator"):
            call = EscrowCall(key(name).public.key_id, "riches", world.node.clock.now_ms())
            unit.escrow.deposit(call, MONEY.token, FUNDS_MINOR)
        unit.commit()
    return world


def coordinator(pipe: Connection, folder: Path, parties: Parties, funded: Sequence[str], works: bool) -> None:
    """Serves until the other end of the pipe is closed; with the worker if it `works`."""
    import ray  # noqa: F401
    import tokenizers  # noqa: F401

    asyncio.run(_coordinate(pipe, world_in(folder, funded), parties, works))


async def _coordinate(pipe: Connection, world: World, parties: Parties, works: bool) -> None:
    built = server.build_server(world.node, "127.0.0.1:0", parties.access, limits=LIMITS)
    await built.server.start()
    stop = threading.Event()
    if works:
        threading.Thread(target=worker.run_rounds, args=(world.node, stop), daemon=True).start()
    await _until_closed(pipe, built.port)
    stop.set()
    await built.server.stop(grace=None)


def echo(pipe: Connection, parties: Parties | None) -> None:
    """Answers each call with its own bytes, over the coordinator's TLS or, without parties, over none."""
    asyncio.run(_echo(pipe, parties))


async def _echo(pipe: Connection, parties: Parties | None) -> None:
    async def answer(request: bytes, _context: Any) -> bytes:
        return request

    served = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(answer)
    service, method = ECHO.strip("/").split("/")
    served.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    if parties is None:
        port = served.add_insecure_port("127.0.0.1:0")
    else:
        credentials = grpc.ssl_server_credentials(
            [(parties.server.key, parties.server.certificate)],
            root_certificates=parties.authority.certificate,
            require_client_auth=True,
        )
        port = served.add_secure_port("127.0.0.1:0", credentials)
    await served.start()
    await _until_closed(pipe, port)
    await served.stop(grace=None)


async def _until_closed(pipe: Connection, port: int) -> None:
    pipe.send(port)
    try:
        await asyncio.to_thread(pipe.recv)
    except EOFError:
        return
