"""How much one caller may ask for at once. Counts calls, and knows nothing of what they do."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from node.coordinator.authentication import current
from node.coordinator.interceptors import Context, Interceptor, Serve
from node.errors import QuotaExceeded

STREAM_RETRY_MS = 5000


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What the server grants.

    Attributes:
        calls_per_second, burst_calls: of one caller; `burst_calls` may come at once after a rest.
        calls_at_once: of one caller that are being served; more of them wait for those.
        streams: watches and downloads of one caller at the same time.
        connections: of all callers together.
        handshake_seconds: a connection ends then if nobody has shown a certificate: strangers, too, take places.
        call_seconds: a call with one answer ends then if its caller set no deadline.
        message_bytes: of one request.
    """

    calls_per_second: float = 50
    burst_calls: int = 200
    calls_at_once: int = 8
    streams: int = 16
    connections: int = 1000
    handshake_seconds: float = 10
    call_seconds: float = 60
    message_bytes: int = 8 << 20


GRANTED = CallLimits()


class Bucket:
    """A token bucket: holds `size` tokens, gains `per_second`. Time is an argument."""

    def __init__(self, size: float, per_second: float, now: float) -> None:
        self._size, self._per_second = size, per_second
        self._tokens, self._at = size, now

    def take(self, now: float) -> float:
        """Takes a token and returns 0, or takes none and returns the seconds until there is one."""
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_second
        self._tokens -= 1
        return 0.0


class Limits(Interceptor):
    """Refuses the calls of whoever asks for too much, and ends those that nobody put an end to."""

    def __init__(self, limits: CallLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}  # as many as there are admitted parties
        self._served = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(limits.calls_at_once))
        self._streams: Counter[str] = Counter()

    async def around(self, method: str, context: Context, serve: Serve, *, streams: bool) -> Any:
        caller, now = current().key_id, self._clock()
        if caller not in self._buckets:
            self._buckets[caller] = Bucket(self._limits.burst_calls, self._limits.calls_per_second, now)
        if wait_seconds := self._buckets[caller].take(now):
            raise QuotaExceeded(
                f"At most {self._limits.calls_per_second:g} calls per second are served to one caller.",
                fix="Slow down.",
                retry_after_ms=int(wait_seconds * 1000) + 1,
            )
        if streams:
            return await self._stream(caller, serve)
        if context.time_remaining() is not None:
            return await self._whole(caller, serve)  # gRPC ends it
        try:
            async with asyncio.timeout(self._limits.call_seconds):
                return await self._whole(caller, serve)
        except TimeoutError:
            said = f"The call took longer than {self._limits.call_seconds:g} s, and set no deadline of its own."
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, said)

    async def _whole(self, caller: str, serve: Serve) -> Any:
        """Serves to the end also what its caller has given up: its thread works on, and takes a place until then."""
        places = self._served[caller]
        await places.acquire()

        def done(call: asyncio.Future[Any]) -> None:
            places.release()
            if not call.cancelled():
                call.exception()  # of a call that was given up, nobody else asks how it ended

        call = asyncio.ensure_future(serve())
        call.add_done_callback(done)
        return await asyncio.shield(call)

    async def _stream(self, caller: str, serve: Serve) -> Any:
        if self._streams[caller] >= self._limits.streams:
            raise QuotaExceeded(
                f"At most {self._limits.streams} streams at a time are served to one caller.",
                fix="End one of them.",
                retry_after_ms=STREAM_RETRY_MS,
            )
        self._streams[caller] += 1
        try:
            return await serve()
        finally:
            self._streams[caller] -= 1
