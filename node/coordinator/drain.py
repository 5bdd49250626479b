"""A server that goes down politely: health says so first, streams are sent elsewhere, calls in progress may end.

Leases, jobs and money are in the database and wait there for the next start. Knows no method.
"""

from __future__ import annotations

import asyncio
from typing import Any

from node.coordinator.interceptors import Context, Interceptor, Serve
from node.errors import Unavailable


class Drain(Interceptor):
    """Ends the streams of answers once `begin` was called; their callers go on elsewhere, from where they were."""

    def __init__(self) -> None:
        self._streams: set[asyncio.Task[Any]] = set()
        self._begun = False

    def begin(self) -> None:
        """Ends all present streams and refuses new ones. Call it in the event loop of the server."""
        self._begun = True
        for task in self._streams:
            task.cancel()

    async def around(self, method: str, context: Context, serve: Serve, *, streams: bool) -> Any:
        if not streams:
            return await serve()
        if self._begun:
            raise _going_down()
        task: Any = asyncio.current_task()  # never None: a call is served by a task
        self._streams.add(task)
        try:
            return await serve()
        except asyncio.CancelledError:
            if not self._begun:
                raise  # the caller went away
            task.uncancel()
            raise _going_down() from None
        finally:
            self._streams.discard(task)


def _going_down() -> Unavailable:
    return Unavailable("This coordinator is going down.", fix="Connect again and go on from where you were.")
