"""Anybody does anything at any time: states follow the table, money stays whole, refusals leave no trace.

The seed of a failing walk stands in the test's name.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from fakes.adapters import adapter_files
from fakes.world import JOB, World

from node.core import receipt
from node.core.job import MOVES, SILENCE, State
from node.core.messages import AdapterCommit, DataReceipt, Offer, Terms
from node.crypto.digest import digest
from node.errors import HallmarkError
from node.workflow import prepare, queries, reveal, settle, verify

STEPS = 60
FILES = adapter_files([])
OTHER_FILES = adapter_files([], always="x")


def acts_of(world: World, offer: Offer, dice: random.Random) -> list[Callable[[], object]]:
    return [
        lambda: world.create(offer),
        lambda: prepare.prepare(world.node, JOB),
        world.lease,
        lambda: world.post(Terms(world.chain().next_link(), world.provider.public.hex)),
        lambda: world.post(DataReceipt(world.chain().next_link(), world.chain().messages[1].data_root)),
        lambda: world.post(DataReceipt(world.chain().next_link(), digest("test", b"other"))),
        lambda: world.commit_adapter(FILES),
        lambda: world.post(AdapterCommit(world.chain().next_link(), digest("test", b"other"))),
        lambda: world.submit(FILES),
        lambda: world.submit(OTHER_FILES),
        lambda: reveal.reveal(world.node, JOB),
        lambda: verify.evaluate(world.node, JOB),
        lambda: settle.pass_deadline(world.node, JOB),
        lambda: world.clock.advance_to(world.clock.now_ms() + dice.choice([1, 1_000, 300_000])),
    ]


@pytest.mark.parametrize("seed", range(6))
def test_no_walk_leaves_the_table_or_the_ledger(world: World, seed: int) -> None:
    dice, offer = random.Random(seed), world.offer()
    acts, state = acts_of(world, offer, dice), State.DRAFT
    for data in (*FILES.values(), *OTHER_FILES.values()):
        world.upload(data)
    for at in range(STEPS):
        before = world.dump()
        # now and then the next sensible step, so that walks get far; otherwise anything
        act = acts[[0, 1, 2, 3, 4, 6, 8, 10, 11][min(at // 2, 8)]] if dice.random() < 0.6 else dice.choice(acts)
        try:
            act()
        except (HallmarkError, IndexError, AssertionError):
            assert world.dump() == before
        state = follows(world, state)
        balances = world.balances()
        assert sum(balances.values()) == 0
        assert min(balance for account, balance in balances.items() if account != "external") >= 0
    while world.job().due_at_ms is not None:
        world.silence()
    assert world.job().ended
    assert world.balances().get(f"escrow:{JOB}", 0) == 0
    if world.job().state is State.SETTLED and len(world.chain().messages) == 9:
        receipt.check(queries.receipt(world.node, None, JOB), world.trust)


def follows(world: World, before: State) -> State:
    """The job's state now, which the table must have led to."""
    with world.node.units() as unit:
        job = unit.jobs.find(JOB)
    now = job.state if job else State.DRAFT
    by_event = {following for (state, _), following in MOVES.items() if state is before}
    assert now is before or now in by_event or now is SILENCE[before].then
    return now
