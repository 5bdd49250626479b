"""A coordinator that serves a world over real TLS, from a thread of its own, so that commands can call it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fakes.world import World, key

from node import bootstrap
from node.coordinator import server
from node.storage import tls

NAMES = ("coordinator", "log", "client", "provider", "arbiter", "operator")
PATIENCE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Serving:
    """Where a world is served. `home` is its operator's, and on this machine every party's."""

    world: World
    home: Path
    address: str


@contextmanager
def serve(world: World, home: Path) -> Iterator[Serving]:
    """Serves until the block ends, and then closes the world."""
    (home / "keys").mkdir(parents=True)
    for name in NAMES:
        (home / "keys" / f"{name}.pem").write_bytes(key(name).to_pem())
    tls.make_operator(home, ["127.0.0.1"], now_ms=bootstrap.SystemClock().now_ms())
    loop, stop, ports, up = asyncio.new_event_loop(), asyncio.Event(), list[int](), threading.Event()

    async def run() -> None:
        built = server.build_server(world.node, "127.0.0.1:0", bootstrap.access(home))
        await built.server.start()
        ports.append(built.port)
        up.set()
        await stop.wait()
        await built.server.stop(grace=None)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert up.wait(PATIENCE_SECONDS)
    try:
        yield Serving(world, home, f"127.0.0.1:{ports[0]}")
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
        world.database.dispose()
