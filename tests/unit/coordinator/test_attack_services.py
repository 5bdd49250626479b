"""Attacks by whoever can call the services on other parties' accounts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from fakes.world import FUNDS_MINOR, World, build

from node.coordinator.services import escrow
from node.core.job import State
from node.errors import InvalidInput
from node.wire.hallmark.v1 import escrow_pb2

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
