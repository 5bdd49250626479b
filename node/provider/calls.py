"""Calls to a coordinator that may be away: each is repeated, ever more slowly, until it is answered.

Everything that an agent asks may be asked again without a second effect. Does not know what is asked.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from node.errors import HallmarkError, Unavailable
from node.wire import status

log = logging.getLogger(__name__)

#: A coordinator that is away is asked again after at most so long.
LONGEST_WAIT_SECONDS = 30.0


class Calls:
    """An agent's calls to its coordinator. Says once that nobody answers, and once that somebody does again.

    Args:
        heard: called whenever the coordinator answered, be it with a refusal.
    """

    def __init__(self, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._silent_since: float | None = None

    async def call(self, method: Callable[..., Awaitable[Any]], request: Any) -> Any:
        """One call. Raises the coordinator's refusal as the error that it is; never Unavailable."""
        return await self.repeated(lambda: method(request))

    async def repeated(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        """As `call`, for an attempt that takes more than awaiting an answer."""

        async def once() -> Any:
            try:
                answer = await attempt()
            except grpc.RpcError as fault:
                error = status.error_of(fault)
                self._note(error)
                raise error from fault
            self._note(None)
            return answer

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_SECONDS),
            before_sleep=_tell_in_detail,
        )
        return await retrying(once)

    def _note(self, error: HallmarkError | None) -> None:
        if isinstance(error, Unavailable):
            if self._silent_since is None:
                self._silent_since = time.monotonic()
                log.warning("%s A training goes on meanwhile. Asking again until it answers.", error)
            return
        self._heard()
        if self._silent_since is not None:
            log.info("The coordinator answers again, after %.0f s.", time.monotonic() - self._silent_since)
            self._silent_since = None


def _tell_in_detail(state: RetryCallState) -> None:
    fault = state.outcome.exception() if state.outcome else None
    wait = state.next_action.sleep if state.next_action else 0
    log.debug("%s Trying again in %.1f s.", fault, wait)
