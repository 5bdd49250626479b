"""Whose turn it is: the most urgent job first, but no job holds up another one by failing."""

from __future__ import annotations

import pytest
from fakes.world import DEADLINES

from node.coordinator.turns import Turns
from node.core.job import Job, State


class Time:
    """Monotonic seconds in the test's hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def job(number: int) -> Job:
    return Job(f"job-{number}", State.REVEALED, "client", "provider", DEADLINES, created_at_ms=0, due_at_ms=number)


def due(job: Job) -> tuple[int, ...]:
    return (job.due_at_ms or 0,)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def turns(time: Time) -> Turns:
    return Turns(5, 60, time)


def chosen(turns: Turns, *jobs: Job) -> str | None:
    with turns.take(jobs, due) as taken:
        return taken.id if taken else None


def test_the_most_urgent_job_has_its_turn(turns: Turns) -> None:
    assert chosen(turns, job(3), job(1), job(2)) == "job-1"
    assert chosen(turns) is None


def test_a_job_that_a_thread_is_at_is_nobody_elses_until_then(turns: Turns) -> None:
    with turns.take([job(1), job(2)], due) as first, turns.take([job(1), job(2)], due) as second:
        assert [first, second] == [job(1), job(2)]
        assert chosen(turns, job(1), job(2)) is None
    assert chosen(turns, job(1), job(2)) == "job-1"


def test_a_job_whose_step_raises_is_free_again(turns: Turns) -> None:
    with pytest.raises(OSError, match="broken"), turns.take([job(1)], due):
        raise OSError("broken")
    assert chosen(turns, job(1)) == "job-1"


def test_a_job_that_fails_again_and_again_waits_longer_each_time(turns: Turns, time: Time) -> None:
    waits = []
    for attempt in range(1, 8):
        failures, seconds = turns.fail(job(1))
        assert failures == attempt
        time.seconds += seconds - 0.1
        assert chosen(turns, job(1)) is None
        time.seconds += 0.1
        assert chosen(turns, job(1)) == "job-1"
        waits.append(seconds)
    assert waits == [5, 10, 20, 40, 60, 60, 60]


def test_a_job_that_failed_comes_after_those_that_did_not_however_urgent(turns: Turns, time: Time) -> None:
    turns.fail(job(1))
    time.seconds += 5
    assert chosen(turns, job(1), job(2)) == "job-2"
    turns.fail(job(2))
    turns.fail(job(2))
    time.seconds += 60
    assert chosen(turns, job(1), job(2)) == "job-1"


def test_a_job_that_succeeded_after_all_starts_anew(turns: Turns, time: Time) -> None:
    turns.fail(job(1))
    turns.succeed(job(1))
    time.seconds += 5
    assert chosen(turns, job(1), job(2)) == "job-1"
    assert turns.fail(job(1)) == (1, 5)


def test_a_job_that_another_process_is_at_rests_without_having_failed(turns: Turns, time: Time) -> None:
    turns.rest(job(1), 0.2)
    assert chosen(turns, job(1), job(2)) == "job-2"
    time.seconds += 0.2
    assert chosen(turns, job(1), job(2)) == "job-1"
