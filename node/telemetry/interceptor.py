"""The interceptor that observes every gRPC call: counted, timed, traced, and named on the log lines within it.

The first of the chain: what it counts is the status that the caller sees. Knows no method and looks into no message,
except for the id of the job that it is about.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from node.telemetry import logs, metrics, tracing

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
#: The service's own fault; everything else is the caller's or nobody's.
_FAULTS = frozenset({"UNKNOWN", "INTERNAL", "DATA_LOSS", "UNIMPLEMENTED"})
#: Nothing else of what a caller wrote gets into a log line.
_JOB = re.compile(r"(?:jobs/)?([\w.-]{1,64})(?=/|$)")
_JOB_NAME = re.compile(r"jobs/([\w.-]{1,64})(?=/|$)")


class Telemetry(grpc.aio.ServerInterceptor):
    """Observes calls into `metrics.CALLS` and its neighbours, spans and the context of log lines."""

    def __init__(self, tracer: Tracer = tracing.tracer) -> None:
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None  # a method that does not exist: its name is the caller's invention and no label
        method = handler_call_details.method.lstrip("/").removeprefix("hallmark.v1.")
        asked, answered = (
            "stream" if flag else "unary" for flag in (handler.request_streaming, handler.response_streaming)
        )
        kind = f"{asked}_{answered}"
        observe = self._stream if handler.response_streaming else self._single
        return getattr(grpc, f"{kind}_rpc_method_handler")(
            observe(method, getattr(handler, kind)), handler.request_deserializer, handler.response_serializer
        )

    def _single(self, method: str, behaviour: Any) -> Any:
        async def call(request: Any, context: Any) -> Any:
            with self._observed(method, request, context), metrics.CALL_SECONDS.labels(method).time():
                return await behaviour(request, context)

        return call

    def _stream(self, method: str, behaviour: Any) -> Any:
        async def call(request: Any, context: Any) -> None:
            # A coroutine that writes, not a generator: a generator may be closed in another task, where the span and
            # the log lines' context could not be taken down.
            with self._observed(method, request, context):
                answers = behaviour(request, context)
                if hasattr(answers, "__aiter__"):
                    async for answer in answers:
                        await context.write(answer)
                else:
                    await answers

        return call

    @contextmanager
    def _observed(self, method: str, request: Any, context: Any) -> Iterator[None]:
        code = "UNKNOWN"
        job = {"job": found} if (found := _job(request)) else {}
        span = self._tracer.start_as_current_span(
            method,
            context=tracing.parent_of(context.invocation_metadata() or ()),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.method": method, **{f"hallmark.{name}": job[name] for name in job}},
            record_exception=False,
            set_status_on_exception=False,
        )
        with (
            metrics.CALLS_IN_PROGRESS.labels(method).track_inprogress(),
            logs.about(method=method, **job),
            span as current,
        ):
            try:
                yield
                code = _code(context.code(), "OK")
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except grpc.aio.AbortError:
                code = _code(context.code(), "UNKNOWN")
                raise
            finally:
                metrics.CALLS.labels(method, code).inc()
                current.set_attribute("rpc.grpc.status_code", code)
                if code in _FAULTS:
                    current.set_status(Status(StatusCode.ERROR))


def _code(said: Any, otherwise: str) -> str:
    """A status code's name; gRPC says it as an enum, as its number, or (0, None) not at all."""
    if isinstance(said, grpc.StatusCode):
        return said.name
    return _CODES[said] if said else otherwise


def _job(request: Any) -> str:
    """The job that a request is about: of its field `job`, or of a resource name `jobs/ID`."""
    for field, pattern in (("job", _JOB), ("name", _JOB_NAME)):
        if found := pattern.match(str(getattr(request, field, ""))):
            return found[1]
    return ""
