"""Attacks by whoever can call the services: other parties' accounts, memory, and the terms that agents sign blindly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fakes.fine_tuner import InstantFineTuner
from fakes.world import BASE_MODEL, FUNDS_MINOR, MONEY, World, build

from node.coordinator.services import escrow, providers
from node.core.adapter import WEIGHTS
from node.core.job import Deadlines, State
from node.core.messages import Commit, Offer, Terms
from node.core.training import TrainingSpec
from node.errors import Conflict, InvalidInput, PermissionRefused
from node.provider import agent
from node.wire import translate
from node.wire.hallmark.v1 import escrow_pb2, providers_pb2

NOBODY = cast(Any, None)  # these services ask nothing of their context


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    built = build(tmp_path)
    yield built
    built.database.dispose()


async def deposit(world: World, amount_minor: int, request_id: str) -> escrow_pb2.Balance:
    request = escrow_pb2.DepositRequest(
        request_id=request_id, party=world.provider.public.key_id, amount_minor=amount_minor
    )
    return await escrow.EscrowService(world.node).Deposit(request, NOBODY)


async def test_nobody_fills_a_partys_account_until_no_payment_fits_into_it(world: World) -> None:
    world.advance_to(State.EVALUATED)
    for amount, request_id in ((2**53 - 1, "a"), (escrow.MAX_BALANCE_MINOR, "b"), (-1, "c")):
        with pytest.raises(InvalidInput):
            await deposit(world, amount, request_id)
    await deposit(world, escrow.MAX_BALANCE_MINOR - FUNDS_MINOR, "d")
    world.silence()
    assert world.job().state is State.SETTLED
    assert world.available(world.provider) > escrow.MAX_BALANCE_MINOR


async def test_names_of_any_length_are_not_stored(world: World) -> None:
    for party, request_id in (("p" * 10_000, "r"), ("p", "r" * 10_000)):
        request = escrow_pb2.DepositRequest(request_id=request_id, party=party, amount_minor=1)
        with pytest.raises(InvalidInput):
            await escrow.EscrowService(world.node).Deposit(request, NOBODY)


async def test_nothing_is_taken_into_memory_from_whoever_has_no_lease(world: World) -> None:
    taken = 0

    async def parts() -> AsyncIterator[providers_pb2.UploadAdapterRequest]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield providers_pb2.UploadAdapterRequest(lease_token="00" * 32, file_name=WEIGHTS, data=b"x")

    with pytest.raises(PermissionRefused):
        await providers.ProviderService(world.node).UploadAdapter(parts(), NOBODY)
    assert taken == 1


# The provider's agent


class Coordinator:
    """What an agent's stub is to it; remembers what the agent would have signed."""

    def __init__(self, world: World, *, refuse: bool = False) -> None:
        self.world, self.refuse, self.leases = world, refuse, 0
        self.signed: list[type] = []

    def LeaseJob(self, request: providers_pb2.LeaseJobRequest, **options: object) -> providers_pb2.Lease:  # noqa: N802
        self.leases += 1
        if self.leases > 2:
            raise KeyboardInterrupt
        if self.leases == 2:
            return providers_pb2.Lease()
        leased = self.world.lease()
        return providers_pb2.Lease(
            job=leased.job,
            lease_token=leased.token.hex(),
            messages=[translate.envelope_to_wire(envelope) for envelope in leased.messages],
        )

    def PostMessage(self, request: providers_pb2.PostMessageRequest) -> providers_pb2.PostMessageResponse:  # noqa: N802
        self.signed.append(Terms)
        raise Conflict("The escrow refuses: the coordinator cannot pay for BondLocked.")


def agent_at(coordinator: Coordinator) -> agent.Agent:
    world = coordinator.world
    made = agent.Agent(
        "127.0.0.1:1",
        world.provider,
        coordinators=world.node.trusted,
        base_models={BASE_MODEL: Path()},
        fine_tuner=InstantFineTuner(),
    )
    made._stub = coordinator
    return made


def offered(world: World, **changes: Any) -> tuple[Offer, Commit]:
    """An offer as a coordinator that checks nothing would pass it on."""
    world.advance_to(State.COMMITTED)
    chain = world.chain()
    return replace(chain.offer, **changes), chain.find(Commit)


def test_an_agent_wagers_no_stake_beyond_the_price(world: World) -> None:
    offer, commit = offered(world, money=replace(MONEY, stake_minor=MONEY.price_minor + 1))
    with pytest.raises(InvalidInput) as refusal:
        agent._check_acceptable(offer, commit)
    assert refusal.value.facts["field"] == "stake_minor"


def test_an_agent_does_not_promise_what_no_machine_can_train(world: World) -> None:
    """A forfeited stake is the client's: it would earn by granting a second."""
    offer, commit = offered(world, deadlines=Deadlines(train_seconds=1), training=TrainingSpec(epochs=100))
    with pytest.raises(InvalidInput) as refusal:
        agent._check_acceptable(offer, commit)
    assert refusal.value.facts["field"] == "train_seconds"


def test_an_agent_declines_before_it_signs(world: World) -> None:
    world.create(world.offer(deadlines=Deadlines(train_seconds=1), training=TrainingSpec(epochs=100)))
    world.advance_to(State.COMMITTED)
    coordinator = Coordinator(world)
    made = agent_at(coordinator)
    with pytest.raises(InvalidInput):
        made.run(once=True)
    made.close()
    assert coordinator.signed == []


def test_one_job_that_comes_to_nothing_does_not_end_an_agents_work(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "POLL_SECONDS", 0.0)
    world.advance_to(State.COMMITTED)
    coordinator = Coordinator(world)
    made = agent_at(coordinator)
    with pytest.raises(KeyboardInterrupt):
        made.run(once=False)
    made.close()
    assert coordinator.leases == 3
    assert coordinator.signed == [Terms]
