"""Spans reach a collector if there is one, and nobody else; they have ids in any case."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from node.telemetry import tracing

CODE = """
import sys
from node.telemetry import tracing
from node.telemetry.steps import step
tracing.configure("hallmark-try")
with step("evaluate", "job-1"):
    print(tracing.trace_id(), any(name.startswith("opentelemetry.exporter") for name in sys.modules))
"""


def told(**variables: str) -> tuple[str, bool]:
    """The trace's id, and whether anything that sends spans was loaded."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")} | variables
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    trace_id, sends = done.stdout.split()
    return trace_id, sends == "True"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """Address of a collector, and what it was sent."""
    received: list[ExportTraceServiceRequest] = []

    def export(request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:
        received.append(request)
        return ExportTraceServiceResponse()

    handler = grpc.unary_unary_rpc_method_handler(
        export, ExportTraceServiceRequest.FromString, ExportTraceServiceResponse.SerializeToString
    )
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", received
    server.stop(None)


def test_a_collector_that_is_named_receives_the_spans(
    collector: tuple[str, list[ExportTraceServiceRequest]],
) -> None:
    address, received = collector
    trace_id, sends = told(OTEL_EXPORTER_OTLP_ENDPOINT=address)
    assert sends
    (resource,) = (each for request in received for each in request.resource_spans)
    names = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert names["service.name"] == "hallmark-try"
    (span,) = resource.scope_spans[0].spans
    assert (span.name, span.trace_id.hex()) == ("worker/evaluate", trace_id)
    assert {each.key: each.value.string_value for each in span.attributes} == {"hallmark.job": "job-1"}


def test_without_a_collector_spans_have_ids_and_go_nowhere() -> None:
    trace_id, sends = told()
    assert int(trace_id, 16) > 0
    assert not sends


def test_a_process_that_configured_nothing_has_no_trace() -> None:
    assert tracing.trace_id() is None


@pytest.mark.parametrize("said", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_parent_that_is_none_is_ignored(said: str) -> None:
    metadata: list[tuple[str, str | bytes]] = [("traceparent", said), ("other-bin", b"\x00")]
    assert tracing.parent_of(metadata) == {}
