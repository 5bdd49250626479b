"""One step of the worker, as operators see it: a span, a duration by outcome, the job's id on each log line."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from node.errors import Conflict
from node.telemetry import logs, metrics, tracing

log = logging.getLogger(__name__)


@contextmanager
def step(name: str, job_id: str) -> Iterator[None]:
    """Observes the block, which does step `name` of a job; whatever it raises is logged and passes through.

    A Conflict is no failure: the job had moved on before.
    """
    started, outcome = time.perf_counter(), "failed"
    span = tracing.tracer.start_as_current_span(f"worker/{name}", attributes={"hallmark.job": job_id})
    with logs.about(job=job_id), span:
        try:
            yield
            outcome = "done"
        except Conflict as moved_on:
            outcome = "too_late"
            log.info("%s: %s", name, moved_on)
            raise
        except Exception:
            log.exception("%s failed", name)
            raise
        finally:
            metrics.STEP_SECONDS.labels(name, outcome).observe(time.perf_counter() - started)


@contextmanager
def round_of(worker: str) -> Iterator[None]:
    """Observes one round of a worker; whatever it raises is counted and passes through."""
    metrics.LAST_ROUND.labels(worker).set_to_current_time()
    with metrics.ROUNDS_FAILED.labels(worker).count_exceptions():
        yield
