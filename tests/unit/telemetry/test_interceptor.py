"""Every gRPC call is counted by what its caller saw, timed, traced, and named on the log lines within it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from node.telemetry import logs, metrics
from node.telemetry.interceptor import Telemetry

CALLER = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@dataclass(frozen=True, slots=True)
class Request:
    """What the deserializer makes of bytes: the text is a job's id."""

    job: str


async def answer(request: Request, context: Any) -> bytes:
    logging.getLogger("within").warning("answering")
    if request.job == "refused":
        await context.abort(grpc.StatusCode.NOT_FOUND, "no")
    if request.job == "broken":
        raise RuntimeError("broken")
    if request.job == "slow":
        await asyncio.sleep(60)
    return b"yes"


async def answers(request: Request, context: Any) -> AsyncIterator[bytes]:
    yield b"1"
    logging.getLogger("within").warning("streaming")
    if request.job == "refused":
        await context.abort(grpc.StatusCode.NOT_FOUND, "no")
    yield b"2"


async def writes(request: Request, context: Any) -> None:
    await context.write(b"written")


def tracing_into(exporter: InMemorySpanExporter) -> trace.Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("test")


@asynccontextmanager
async def serving(tracer: trace.Tracer | None = None) -> AsyncIterator[grpc.aio.Channel]:
    single, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    handlers = {
        "Answer": single(answer, lambda data: Request(data.decode())),
        "Answers": stream(answers, lambda data: Request(data.decode())),
        "Writes": stream(writes, lambda data: Request(data.decode())),
    }
    server = grpc.aio.server(interceptors=[Telemetry(tracer) if tracer else Telemetry()])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("hallmark.v1.Try", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


def counted(method: str, code: str) -> float:
    return metrics.REGISTRY.get_sample_value("hallmark_grpc_calls_total", {"method": method, "code": code}) or 0


@pytest.mark.parametrize(
    ("job", "code"), [("job-1", "OK"), ("refused", "NOT_FOUND"), ("broken", "UNKNOWN"), ("slow", "CANCELLED")]
)
async def test_a_call_is_counted_by_the_status_that_its_caller_saw(job: str, code: str) -> None:
    before = counted("Try/Answer", code)
    async with serving() as channel:
        call = channel.unary_unary("/hallmark.v1.Try/Answer")(job.encode(), timeout=0.2 if job == "slow" else 10)
        if code == "OK":
            assert await call == b"yes"
        else:
            with pytest.raises(grpc.aio.AioRpcError):
                await call
    assert counted("Try/Answer", code) == before + 1
    assert metrics.REGISTRY.get_sample_value("hallmark_grpc_calls_in_progress", {"method": "Try/Answer"}) == 0
    assert metrics.REGISTRY.get_sample_value("hallmark_grpc_call_duration_seconds_count", {"method": "Try/Answer"})


@pytest.mark.parametrize(
    ("method", "job", "said", "code"),
    [
        ("Answers", "job-1", [b"1", b"2"], "OK"),
        ("Answers", "refused", [b"1"], "NOT_FOUND"),
        ("Writes", "job-1", [b"written"], "OK"),
    ],
)
async def test_a_stream_is_counted_once_it_has_ended(method: str, job: str, said: list[bytes], code: str) -> None:
    before = counted(f"Try/{method}", code)
    async with serving() as channel:
        call = channel.unary_stream(f"/hallmark.v1.Try/{method}")(job.encode())
        assert [await call.read() for _ in said] == said
        assert (await call.code()).name == code
    assert counted(f"Try/{method}", code) == before + 1


async def test_a_method_that_does_not_exist_makes_no_label() -> None:
    async with serving() as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary("/hallmark.v1.Try/Invented")(b"")
    assert "Invented" not in str(list(metrics.CALLS.collect()))


@pytest.mark.parametrize(
    ("job", "told"), [("job-1", "job-1"), ("jobs/job-1", "job-1"), ("", None), ("a\nline of its own", None)]
)
async def test_log_lines_within_a_call_name_method_job_and_trace(job: str, told: str | None) -> None:
    stream, root, spans = io.StringIO(), logging.getLogger(), InMemorySpanExporter()
    former = root.handlers[:], root.level
    logs.configure("info", "json", stream)
    try:
        async with serving(tracing_into(spans)) as channel:
            await channel.unary_unary("/hallmark.v1.Try/Answer")(job.encode(), metadata=(("traceparent", CALLER),))
    finally:
        root.handlers[:] = former[0]
        root.setLevel(former[1])
        logging.getLogger(logs.OURS).setLevel(logging.NOTSET)
        logging.captureWarnings(capture=False)
    line = json.loads(stream.getvalue())
    assert (line["message"], line["method"], line.get("job")) == ("answering", "Try/Answer", told)
    assert line["trace"] == "a" * 32
    (span,) = spans.get_finished_spans()
    assert span.name == "Try/Answer"
    assert (span.parent and trace.format_span_id(span.parent.span_id)) == "b" * 16
    assert (span.attributes or {}).get("hallmark.job") == told


async def test_only_the_services_own_faults_are_errors_of_a_span() -> None:
    spans = InMemorySpanExporter()
    async with serving(tracing_into(spans)) as channel:
        for job in ("refused", "broken"):
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary("/hallmark.v1.Try/Answer")(job.encode())
    assert [span.status.is_ok for span in spans.get_finished_spans()] == [True, False]
