"""Traces: every call and every step of the worker is a span; they leave this process only if somebody collects them.

The collector is named by OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_ENDPOINT and its kin). Without one, spans
still have ids: log lines and refusals name them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from node import __version__

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

#: Does nothing until `configure`.
tracer = trace.get_tracer("hallmark", __version__)


def configure(service: str) -> None:
    """From now on spans are real. Once a process; `service` is this process's name unless OTEL_SERVICE_NAME is set."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    os.environ.setdefault("OTEL_SERVICE_NAME", service)
    provider = TracerProvider(resource=Resource.create({"service.version": __version__}))
    if any(os.environ.get(name) for name in ENDPOINTS):
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def trace_id() -> str | None:
    """The present trace in hexadecimal, if there is one."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def parent_of(metadata: Iterable[tuple[str, str | bytes]]) -> Context:
    """The caller's span, if the metadata carry a `traceparent` (W3C Trace Context)."""
    headers = {name: value for name, value in metadata if isinstance(value, str)}
    return TraceContextTextMapPropagator().extract(headers)
