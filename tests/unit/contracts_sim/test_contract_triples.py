"""Every (state, call, caller, side of the deadline): exactly the contract that is written down here is accepted."""

from __future__ import annotations

import pytest

from contracts_sim import State
from contracts_sim.errors import (
    AlreadySettled,
    ChallengeNotOver,
    EscrowError,
    GraceNotOver,
    JobExists,
    NotAParty,
    NotArbiter,
    NotClient,
    NotEvaluator,
    NotProvider,
    TooEarly,
    TooLate,
    WrongState,
)
from contracts_sim.table import ROWS, TABLE

# state, call, callers ("*": all five), when, state afterwards; written by hand from the protocol, not from the table
ACCEPTED = """
Open        fund                client,provider,evaluator  before  Funded
Open        reject              client                     before  Rejected
Open        reject              client                     after   Rejected
Open        claim_refund        *                          after   Expired
Funded      receive_data        provider                   before  Training
Funded      cancel              client                     before  Rejected
Funded      fault               *                          before  Rejected
Funded      fault               *                          after   Rejected
Funded      claim_refund        *                          after   Expired
Training    submit              provider                   before  Submitted
Training    cancel              client                     before  Rejected
Training    fault               *                          before  Rejected
Training    fault               *                          after   Rejected
Training    claim_refund        *                          after   Expired
Submitted   acknowledge_upload  evaluator                  before  Uploaded
Submitted   fault               *                          before  Rejected
Submitted   fault               *                          after   Rejected
Submitted   claim_refund        *                          after   Expired
Uploaded    reveal              evaluator                  before  Revealed
Uploaded    fault               *                          before  Rejected
Uploaded    fault               *                          after   Rejected
Uploaded    claim_refund        *                          after   Expired
Revealed    complete            evaluator                  before  Evaluated
Revealed    reject              evaluator                  before  Evaluated
Revealed    abstain             evaluator                  before  Evaluated
Revealed    fault               *                          before  Rejected
Revealed    fault               *                          after   Rejected
Revealed    claim_refund        *                          after   Expired
Evaluated   challenge           client,provider            before  Challenged
Evaluated   fault               *                          before  Rejected
Evaluated   fault               *                          after   Rejected
Evaluated   settle              *                          after   Completed
Challenged  arbitrate           arbiter                    before  Rejected
Challenged  fault               *                          before  Rejected
Challenged  fault               *                          after   Rejected
Challenged  settle              *                          after   Completed
"""
CALLERS = ("client", "provider", "evaluator", "arbiter", "stranger")
TO = {
    (state, call, caller, when): after
    for state, call, callers, when, after in (line.split() for line in ACCEPTED.strip().splitlines())
    for caller in (CALLERS if callers == "*" else callers.split(","))
}
ENDED = {"Completed", "Rejected", "Expired"}
EARLY = {
    "Submitted": GraceNotOver,
    "Uploaded": GraceNotOver,
    "Revealed": GraceNotOver,
    "Evaluated": ChallengeNotOver,
    "Challenged": ChallengeNotOver,
}
NOT_THE_ROLE = {"client": NotClient, "provider": NotProvider, "evaluator": NotEvaluator, "arbiter": NotArbiter}


def expected_refusal(state: str, call: str, caller: str, when: str) -> type[EscrowError]:
    if call == "create_job":
        return JobExists
    offered = {key[2:] for key in TO if key[:2] == (state, call)}
    if not offered:
        return AlreadySettled if state in ENDED else WrongState
    allowed = {caller for caller, _ in offered}
    if caller not in allowed:
        return NOT_THE_ROLE[allowed.pop()] if len(allowed) == 1 else NotAParty
    return TooLate if when == "after" else EARLY.get(state, TooEarly)


@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_exactly_the_written_calls_are_accepted(state, new_world, job_calls):
    for name in set(job_calls) - {"release_hold"}:
        for caller in CALLERS:
            for when in ("before", "after"):
                world = new_world(state)
                deadline = world.job.deadline
                if deadline is not None:
                    world.now = deadline - (when == "before")
                key = (state.value, name, caller, when)
                before = world.snapshot()
                if key in TO:
                    world.make(name, caller)
                    assert world.job.state.value == TO[key], key
                    assert len(world.state.transactions) == len(before["transactions"]) + 1
                else:
                    with pytest.raises(EscrowError) as refusal:
                        world.make(name, caller)
                    assert type(refusal.value) is expected_refusal(*key), key
                    assert str(refusal.value.expected) in str(refusal.value)
                    assert str(refusal.value.actual) in str(refusal.value)
                    assert world.snapshot() == before, key


def test_the_contracts_table_is_the_written_one():
    assert {(state, call) for state, call, _, _ in TO} == {(row.state.value, row.call) for row in TABLE}
    assert len(ROWS) == len(TABLE)
