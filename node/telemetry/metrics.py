"""Metrics of the coordinator, by Prometheus conventions: base units, `_total` on counters, moments as timestamps.

Counters count in this process. What the database knows (jobs, money, log, outbox) is read when somebody asks, so
every coordinator over one database tells the same. Labels have few values by construction: no job, no party.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from node import __version__
from node.errors import InvalidInput, Unavailable
from node.ports.figures import Figures

log = logging.getLogger(__name__)

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
Info("hallmark_build", "The version that runs.", registry=REGISTRY).info({"version": __version__})

CALLS = Counter("hallmark_grpc_calls", "gRPC calls that ended, by status code.", ["method", "code"], registry=REGISTRY)
CALLS_IN_PROGRESS = Gauge(
    "hallmark_grpc_calls_in_progress", "gRPC calls being served, streams included.", ["method"], registry=REGISTRY
)
CALL_SECONDS = Histogram(
    "hallmark_grpc_call_duration_seconds",
    "Duration of gRPC calls with one answer; streams last as long as their watcher likes.",
    ["method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=REGISTRY,
)
STEP_SECONDS = Histogram(
    "hallmark_worker_step_duration_seconds",
    "Duration of the coordinator's own steps in a job, by whether they were done, failed or came too late.",
    ["step", "outcome"],
    buckets=(0.01, 0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1200),
    registry=REGISTRY,
)
ROUNDS_FAILED = Counter(
    "hallmark_worker_rounds_failed", "Rounds of the worker that ended in an error.", ["worker"], registry=REGISTRY
)
LAST_ROUND = Gauge(
    "hallmark_worker_last_round_timestamp_seconds",
    "When the worker last began to look for work.",
    ["worker"],
    registry=REGISTRY,
)


class FiguresCollector(Collector):
    """What the database and the certificates say at the moment of asking.

    Args:
        read: the figures; may raise, which is told as `hallmark_database_up` 0.
        certificates: when each certificate ends, in seconds since the epoch.
    """

    def __init__(self, read: Callable[[], Figures], certificates: Callable[[], Mapping[str, float]]) -> None:
        self._read = read
        self._certificates = certificates

    def collect(self) -> Iterator[Metric]:
        yield from self._of_certificates()
        try:
            figures: Figures | None = self._read()
        except Exception:  # a database that does not answer must not silence the other metrics
            log.exception("the database's figures could not be read")
            figures = None
        yield GaugeMetricFamily("hallmark_database_up", "Whether the database answered.", 1 if figures else 0)
        if figures:
            yield from self._of_database(figures)

    def describe(self) -> list[Metric]:
        return []  # nothing is asked of the database when the collector is registered

    def _of_certificates(self) -> Iterator[Metric]:
        ends = GaugeMetricFamily(
            "hallmark_certificate_not_after_timestamp_seconds", "When a certificate ends.", labels=["certificate"]
        )
        for name, seconds in self._certificates().items():
            ends.add_metric([name], seconds)
        yield ends

    def _of_database(self, figures: Figures) -> Iterator[Metric]:
        counts = GaugeMetricFamily("hallmark_jobs", "Jobs by state.", labels=["state"])
        oldest = GaugeMetricFamily(
            "hallmark_job_oldest_created_timestamp_seconds",
            "When the oldest job that waits in a state was created.",
            labels=["state"],
        )
        due = GaugeMetricFamily(
            "hallmark_job_next_deadline_timestamp_seconds",
            "When silence moves on the first of the jobs that wait in a state.",
            labels=["state"],
        )
        for state in figures.jobs:
            counts.add_metric([state.state], state.jobs)
            if state.oldest_created_at_ms is not None:
                oldest.add_metric([state.state], state.oldest_created_at_ms / 1000)
            if state.next_due_at_ms is not None:
                due.add_metric([state.state], state.next_due_at_ms / 1000)
        balances = GaugeMetricFamily(
            "hallmark_money_balance_minor",
            "Sum of the balances of one kind of accounts; over all kinds it is zero.",
            labels=["kind", "token"],
        )
        held = GaugeMetricFamily(
            "hallmark_money_held_minor", "The part of the balances that is on hold.", labels=["kind", "token"]
        )
        for money in figures.money:
            balances.add_metric([money.kind, money.token], money.balance_minor)
            held.add_metric([money.kind, money.token], money.held_minor)
        yield from (counts, oldest, due, balances, held)
        yield GaugeMetricFamily("hallmark_log_size", "Leaves of the transparency log.", figures.log_size)
        yield GaugeMetricFamily(
            "hallmark_outbox_due", "Effects outside the database that are due and not done.", figures.outbox_due
        )
        yield GaugeMetricFamily(
            "hallmark_outbox_given_up",
            "Effects that failed again and again; the next start tries them once more.",
            figures.outbox_given_up,
        )


def serve(address: str, collector: Collector) -> Callable[[], None]:
    """Serves all metrics over HTTP at `address` (HOST:PORT); returns what ends that.

    Raises:
        InvalidInput: this is no address.
        Unavailable: nobody can listen there.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise InvalidInput(
            f"metrics_listen is {address!r}, which is no address.",
            fix="Give HOST:PORT, such as 127.0.0.1:9464, or nothing.",
            field="metrics_listen",
        )
    REGISTRY.register(collector)
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), REGISTRY)
    except OSError as fault:
        REGISTRY.unregister(collector)
        raise Unavailable(
            f"Metrics cannot be served on {address}: {fault.strerror}.",
            fix="Stop what uses it, or set metrics_listen to another address, or to nothing.",
        ) from fault

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()
        REGISTRY.unregister(collector)

    return stop
