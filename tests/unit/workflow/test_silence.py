"""Each deadline passes unused: what follows for state and money, and that it happens once."""

from __future__ import annotations

import pytest
from fakes.world import FUNDS_MINOR, JOB, World

from node.core.job import State
from node.core.messages import Settled
from node.errors import Conflict
from node.workflow import queries, settle

#: state: (what silence makes of it, (client, provider, coordinator) against what they brought, the contract's ending)
SILENCES = {
    State.OFFERED: (State.CANCELLED, (0, 0, 0), None),
    State.COMMITTED: (State.CANCELLED, (0, 0, 0), None),
    State.AGREED: (State.ABORTED, (0, 0, 0), "aborted"),
    State.TRAINING: (State.FORFEITED, (2_000, -2_000, 0), "forfeited"),
    State.SUBMITTED: (State.ABORTED, (0, 0, 0), "aborted"),
    State.UPLOADED: (State.SETTLED, (0, 10_000, -10_000), "unevaluated"),
    State.REVEALED: (State.SETTLED, (0, 10_000, -10_000), "unevaluated"),
    State.EVALUATED: (State.SETTLED, (-10_000, 9_900, 100), "accepted"),
}


def changes(world: World) -> tuple[int, ...]:
    return tuple(world.available(party) - FUNDS_MINOR for party in (world.client, world.provider, world.node.key))


@pytest.mark.parametrize("state", SILENCES)
def test_silence_moves_state_and_money_as_the_protocol_says(world: World, state: State) -> None:
    then, money, ending = SILENCES[state]
    world.advance_to(state)
    world.silence()
    assert world.job().state is then
    assert changes(world) == money
    with world.node.units() as unit:
        escrowed = unit.escrow.job(JOB)
        assert (escrowed.ending if escrowed else None) == ending
    assert sum(world.balances().values()) == 0
    assert world.told()[-1].endswith(".")


@pytest.mark.parametrize("state", SILENCES)
def test_a_deadline_that_has_not_come_moves_nothing(world: World, state: State) -> None:
    world.advance_to(state)
    due_at_ms = world.job().due_at_ms
    assert due_at_ms is not None
    world.clock.advance_to(due_at_ms - 1)
    before = world.dump()
    assert settle.overdue(world.node) == []
    settle.pass_deadline(world.node, JOB)
    assert world.dump() == before


@pytest.mark.parametrize("state", SILENCES)
def test_a_deadline_passes_once(world: World, state: State) -> None:
    world.advance_to(state)
    world.silence()
    before = world.dump()
    settle.pass_deadline(world.node, JOB)
    assert settle.overdue(world.node) == []
    assert world.dump() == before


@pytest.mark.parametrize("state", [state for state in SILENCES if state is not State.EVALUATED])
def test_a_job_that_ended_without_a_verdict_has_no_receipt(world: World, state: State) -> None:
    world.advance_to(state)
    world.silence()
    assert not any(isinstance(message, Settled) for message in world.chain().messages)
    with pytest.raises(Conflict):
        queries.receipt(world.node, None, JOB)


def test_overdue_jobs_are_found_the_most_overdue_first(world: World) -> None:
    world.advance_to(State.COMMITTED)
    assert settle.overdue(world.node) == []
    due_at_ms = world.job().due_at_ms
    assert due_at_ms is not None
    world.clock.advance_to(due_at_ms)
    assert [job.id for job in settle.overdue(world.node)] == [JOB]
