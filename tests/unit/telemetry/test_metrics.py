"""What Prometheus reads: the database's figures at the moment of asking, steps by outcome, conventional names."""

from __future__ import annotations

import socket
import urllib.request
from contextlib import nullcontext

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from node.errors import Conflict, InvalidInput, Unavailable
from node.ports.figures import Figures, MoneyFigures, StateFigures
from node.telemetry import metrics
from node.telemetry.steps import round_of, step

FIGURES = Figures(
    jobs=(StateFigures("revealed", 3, 1_000_500, 2_000_000), StateFigures("settled", 7, None, None)),
    money=(MoneyFigures("party", "CREDIT", 900, 40), MoneyFigures("external", "CREDIT", -900, 0)),
    log_size=12,
    outbox_due=1,
    outbox_given_up=2,
)


def ends() -> dict[str, float]:
    return {"server": 5.0e9}


def figures() -> Figures:
    return FIGURES


def unreachable() -> Figures:
    raise Unavailable("The database does not answer.")


def exposed(read: object) -> str:
    registry = CollectorRegistry()
    registry.register(metrics.FiguresCollector(read, ends))  # type: ignore[arg-type]
    return generate_latest(registry).decode()


def test_the_figures_are_told_by_state_and_kind() -> None:
    lines = exposed(figures).splitlines()
    for line in (
        'hallmark_jobs{state="revealed"} 3.0',
        'hallmark_jobs{state="settled"} 7.0',
        'hallmark_job_oldest_created_timestamp_seconds{state="revealed"} 1000.5',
        'hallmark_job_next_deadline_timestamp_seconds{state="revealed"} 2000.0',
        'hallmark_money_balance_minor{kind="external",token="CREDIT"} -900.0',
        'hallmark_money_held_minor{kind="party",token="CREDIT"} 40.0',
        "hallmark_log_size 12.0",
        "hallmark_outbox_due 1.0",
        "hallmark_outbox_given_up 2.0",
        "hallmark_database_up 1.0",
        'hallmark_certificate_not_after_timestamp_seconds{certificate="server"} 5e+09',
    ):
        assert line in lines
    assert 'hallmark_job_next_deadline_timestamp_seconds{state="settled"}' not in "".join(lines)


def test_a_database_that_does_not_answer_is_told_and_the_rest_goes_on() -> None:
    told = exposed(unreachable)
    assert "hallmark_database_up 0.0" in told
    assert "hallmark_certificate_not_after" in told
    assert "hallmark_jobs" not in told


def taken(name: str, outcome: str) -> float:
    labels = {"step": name, "outcome": outcome}
    return metrics.REGISTRY.get_sample_value("hallmark_worker_step_duration_seconds_count", labels) or 0


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(None, "done"), (Conflict("It moved on."), "too_late"), (Unavailable("The engine died."), "failed")],
)
def test_a_step_is_counted_by_its_outcome(fault: Exception | None, outcome: str) -> None:
    before = taken("try", outcome)
    with pytest.raises(type(fault)) if fault else nullcontext(), step("try", "job-1"):
        if fault:
            raise fault
    assert taken("try", outcome) == before + 1


def test_a_round_that_failed_is_counted_and_its_error_passes_through() -> None:
    with round_of("try"):
        pass
    with pytest.raises(Unavailable), round_of("try"):
        raise Unavailable("No.")
    assert metrics.REGISTRY.get_sample_value("hallmark_worker_rounds_failed_total", {"worker": "try"}) == 1
    assert metrics.REGISTRY.get_sample_value("hallmark_worker_last_round_timestamp_seconds", {"worker": "try"})


def test_metrics_are_served_over_http_until_stopped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stop = metrics.serve(f"127.0.0.1:{port}", metrics.FiguresCollector(figures, ends))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            told = answer.read().decode()
    finally:
        stop()
    assert "hallmark_log_size 12.0" in told
    assert 'hallmark_build_info{version="' in told
    assert "process_resident_memory_bytes" in told
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics")


def test_a_busy_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken_port:
        address = f"127.0.0.1:{taken_port.getsockname()[1]}"
        with pytest.raises(Unavailable, match="metrics_listen"):
            metrics.serve(address, metrics.FiguresCollector(figures, ends))
    assert "hallmark_log_size" not in generate_latest(metrics.REGISTRY).decode()


@pytest.mark.parametrize("address", ["9464", ":9464", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000"])
def test_an_address_that_is_none_is_said(address: str) -> None:
    with pytest.raises(InvalidInput, match="no address"):
        metrics.serve(address, metrics.FiguresCollector(figures, ends))
