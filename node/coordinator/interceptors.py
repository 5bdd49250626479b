"""Interceptors as what they are: something around every call, however many messages it takes and gives.

Also turns errors into statuses. Knows no method.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

import grpc

from node.errors import HallmarkError
from node.telemetry import tracing
from node.wire import status

log = logging.getLogger(__name__)

#: Does the rest of a call, and gives its answer; None if answers are streamed.
Serve = Callable[[], Awaitable[Any]]
#: Generic for type checkers only.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Interceptor(ABC):
    """Does `around` every call."""

    @abstractmethod
    async def around(self, method: str, context: Context, serve: Serve, *, streams: bool) -> Any:
        """Awaits and returns `serve()`, or raises; `streams` if the call gives a stream of answers."""

    def deserializer(self, method: str, former: Any) -> Any:
        """What parses requests of a method; `former` did so far."""
        return former


class Chain(grpc.aio.ServerInterceptor):
    """Interceptors, the first one outermost. What serves a method is put together at its first call."""

    def __init__(self, *interceptors: Interceptor) -> None:
        self._interceptors = interceptors
        self._handlers: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        method = handler_call_details.method
        if method not in self._handlers:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None  # no such method; gRPC says so
            self._handlers[method] = self._intercepted(method, handler)
        return self._handlers[method]

    def _intercepted(self, method: str, handler: Any) -> Any:
        streams, parse = handler.response_streaming, handler.request_deserializer
        asked, answered = ("stream" if flag else "unary" for flag in (handler.request_streaming, streams))
        behaviour = getattr(handler, f"{asked}_{answered}")
        make = getattr(grpc, f"{asked}_{answered}_rpc_method_handler")

        async def call(request: Any, context: Any) -> Any:
            def answer() -> Awaitable[Any]:
                return _written(behaviour(request, context), context)

            serve: Serve = answer
            for each in reversed(self._interceptors):
                serve = partial(each.around, method, context, serve, streams=streams)
            return await serve()

        for each in self._interceptors:
            parse = each.deserializer(method, parse)
        return make(call, parse, handler.response_serializer)


async def _written(answers: Any, context: Context) -> Any:
    """Streams are written out, so that one kind of awaitable is left of the two that gRPC takes."""
    if not hasattr(answers, "__aiter__"):
        return await answers
    async for answer in answers:
        await context.write(answer)
    return None


class ErrorsToStatuses(Interceptor):
    """Errors of ours become statuses with details; anything else becomes INTERNAL without a word of what it was."""

    async def around(self, method: str, context: Context, serve: Serve, *, streams: bool) -> Any:
        try:
            return await serve()
        except HallmarkError as fault:
            metadata = dict(context.invocation_metadata() or ())
            details = status.details_of(
                fault, request_id=tracing.trace_id(), long=status.ACCEPTS_LONG_DETAILS[0][0] in metadata
            )
            await context.abort(status.status_of(fault), status.summary_of(fault), details)
        except grpc.aio.AbortError:
            raise
        except Exception:
            log.exception("a call failed for a reason of ours")
            await context.abort(grpc.StatusCode.INTERNAL, "The coordinator failed; its log says why.")
