"""The life of a job against a second writing of its table: its moves and no others."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.job import ENDS, SILENCE, Actor, Deadlines, Event, Job, OnSilence, State, offered
from node.errors import Conflict

#: state: (who acts, deadline, silence leads to, money); then what each event leads to.
TABLE = """
draft       client       quote      expired    nothing                    offer_placed>offered cancelled_by_client>cancelled
offered     coordinator  commit     cancelled  release_hold               manifest_committed>committed cancelled_by_client>cancelled refused_by_coordinator>cancelled
committed   provider     assign     cancelled  release_hold               terms_countersigned>agreed cancelled_by_client>cancelled
agreed      provider     receive    aborted    return_all                 data_received>training cancelled_by_client>cancelled fault_proved>faulted
training    provider     train      forfeited  slash_stake                adapter_committed>submitted cancelled_by_client>cancelled fault_proved>faulted
submitted   provider     upload     aborted    return_all                 adapter_uploaded>uploaded fault_proved>faulted
uploaded    coordinator  reveal     settled    pay_from_coordinator_bond  manifest_revealed>revealed fault_proved>faulted
revealed    coordinator  evaluate   settled    pay_from_coordinator_bond  verdict_given>evaluated fault_proved>faulted
evaluated   anyone       challenge  settled    settle_as_evaluated        verdict_challenged>challenged fault_proved>faulted
challenged  arbiter      arbitrate  settled    settle_as_evaluated        verdict_arbitrated>settled fault_proved>faulted
"""  # noqa: E501
ROWS = {State(row.split()[0]): row.split()[1:] for row in TABLE.strip().splitlines()}
MOVES = {
    (state, Event(event)): State(following)
    for state, row in ROWS.items()
    for event, following in (move.split(">") for move in row[4:])
}
NOW, DUE = 1_000_000, 2_000_000


def a_job(state: State) -> Job:
    return Job("job-1", state, "client", None, Deadlines(), NOW, DUE if state in ROWS else None)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_a_job_moves_as_the_table_says_or_not_at_all(state: State, event: Event) -> None:
    job = a_job(state)
    if (state, event) not in MOVES:
        with pytest.raises(Conflict) as refusal:
            job.after(event, NOW)
        assert refusal.value.facts == {"state": state.value, "event": event.value}
        assert job == a_job(state)
        return
    after = job.after(event, NOW)
    assert after.state is MOVES[state, event]
    assert (after.id, after.client, after.created_at_ms) == (job.id, job.client, job.created_at_ms)


@pytest.mark.parametrize("state", ROWS)
def test_silence_does_what_the_table_says(state: State) -> None:
    actor, deadline, then, money = ROWS[state][:4]
    assert (SILENCE[state].actor, SILENCE[state].deadline) == (Actor(actor), deadline)
    assert SILENCE[state].money is OnSilence(money)
    assert a_job(state).after_silence(DUE).state is State(then)
    assert a_job(state).waits_for is Actor(actor)


@pytest.mark.parametrize(("state", "event"), MOVES)
def test_at_its_deadline_it_is_too_late_to_act_and_late_enough_to_end(state: State, event: Event) -> None:
    job = a_job(state)
    assert job.after(event, DUE - 1).state is MOVES[state, event]
    with pytest.raises(Conflict, match="deadline"):
        job.after(event, DUE)
    with pytest.raises(Conflict, match="no deadline"):
        job.after_silence(DUE - 1)
    assert job.after_silence(DUE).state is SILENCE[state].then


@pytest.mark.parametrize("state", State)
def test_from_every_state_the_clock_alone_leads_to_an_end(state: State) -> None:
    job, steps = a_job(state), 0
    while not job.ended:
        assert job.due_at_ms is not None
        job, steps = job.after_silence(job.due_at_ms), steps + 1
        assert steps <= len(State)
    assert job.due_at_ms is None
    assert job.waits_for is Actor.NOBODY


@pytest.mark.parametrize("state", sorted(ENDS))
def test_what_has_ended_stays_ended(state: State) -> None:
    with pytest.raises(Conflict):
        a_job(state).after_silence(DUE * 1000)


def test_each_state_lasts_as_long_as_its_own_deadline_says() -> None:
    deadlines = Deadlines(*range(1, 11))
    job = offered("job-1", "client", deadlines, NOW)
    assert job.due_at_ms == NOW + 2_000
    for event, seconds in (
        (Event.MANIFEST_COMMITTED, 3),
        (Event.TERMS_COUNTERSIGNED, 4),
        (Event.DATA_RECEIVED, 5),
        (Event.ADAPTER_COMMITTED, 6),
        (Event.ADAPTER_UPLOADED, 7),
        (Event.MANIFEST_REVEALED, 8),
        (Event.VERDICT_GIVEN, 9),
        (Event.VERDICT_CHALLENGED, 10),
    ):
        job = job.after(event, NOW)
        assert job.due_at_ms == NOW + 1000 * seconds


@given(st.lists(st.one_of(st.sampled_from(Event), st.integers(0, 10**9)), max_size=40))
def test_whatever_happens_a_job_follows_the_table_and_ends_by_the_clock(happenings: list[Event | int]) -> None:
    now, job = NOW, offered("job-1", "client", Deadlines(), NOW)
    for happening in happenings:
        before = job
        if isinstance(happening, Event):
            try:
                job = job.after(happening, now)
                assert job.state is MOVES[before.state, happening]
            except Conflict:
                assert (before.state, happening) not in MOVES or now >= (before.due_at_ms or 0)
        else:
            now += happening
            try:
                job = job.after_silence(now)
                assert job.state is SILENCE[before.state].then
            except Conflict:
                assert before.ended or now < (before.due_at_ms or 0)
    for _ in State:
        if job.due_at_ms is not None:
            job = job.after_silence(job.due_at_ms)
    assert job.ended
