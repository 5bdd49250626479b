"""A signed request has its effect once: with copies at the same time, after a refusal, and when a commit fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from fakes.world import World, build, key

from node.coordinator import authentication
from node.coordinator.authentication import Signatures, calling, current, once_per_request
from node.core.request import LONGEST_MS, NONCE_BYTES, seal_request
from node.crypto.certificates import Party, Role
from node.errors import Conflict, PermissionRefused, Unavailable
from node.ports.escrow import EscrowCall
from node.ports.unit_of_work import UnitOfWork, Units
from node.wire import translate
from node.wire.channel import REQUEST_KEY

METHOD = "/hallmark.v1.JobService/CreateJob"
CALLER = Party(key("client").public, Role.CLIENT)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    built = build(tmp_path)
    yield built
    built.database.dispose()


class Context:
    """What a call brings along."""

    def __init__(self, **metadata: bytes) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> list[tuple[str, bytes]]:
        return [(name.replace("_", "-"), value) for name, value in self._metadata.items()]


def signed(world: World, nonce: bytes = bytes(NONCE_BYTES)) -> Context:
    envelope = seal_request(
        key("client"),
        audience=world.node.key.public.key_id,
        method=METHOD,
        body=b"",
        nonce=nonce,
        expires_at_ms=world.clock.now_ms() + LONGEST_MS,
    )
    assert REQUEST_KEY == "hallmark-request-bin"
    return Context(hallmark_request_bin=translate.envelope_to_wire(envelope).SerializeToString())


async def served(world: World, context: Context, serve: Callable[[], Awaitable[Any]], units: Units) -> Any:
    """One call, as the server would make it: in a task of its own."""
    signatures = Signatures(world.node.key.public.key_id, units, world.clock.now_ms)

    async def call() -> Any:
        signatures.deserializer(METHOD, bytes)(b"")
        with calling(CALLER):
            return await signatures.around(METHOD, cast(Any, context), serve, streams=False)

    return await asyncio.create_task(call())


def earn(world: World, units: Units) -> Callable[[], Awaitable[None]]:
    """A verb with an effect that counts how often it happened."""
    times = 0

    def verb() -> None:
        nonlocal times
        times += 1
        with units() as unit:
            unit.escrow.deposit(EscrowCall("party", f"deposit-{times}", world.clock.now_ms()), "CREDIT", 1)
            unit.commit()
            assert current() == CALLER  # threads know who calls, too

    return lambda: asyncio.to_thread(verb)


def earned(world: World) -> int:
    return world.balances().get("party:party", 0)


async def test_of_copies_that_arrive_together_one_has_an_effect(world: World) -> None:
    units = once_per_request(world.node.units)
    verb = earn(world, units)
    copies = [served(world, signed(world), verb, units) for _ in range(20)]
    outcomes = await asyncio.gather(*copies, return_exceptions=True)
    assert [type(each) for each in outcomes if each is not None] == [PermissionRefused] * 19
    assert earned(world) == 1


async def test_two_commits_of_one_call_both_count(world: World) -> None:
    units = once_per_request(world.node.units)
    verb = earn(world, units)

    async def twice() -> None:
        await verb()
        await verb()

    await served(world, signed(world), twice, units)
    assert earned(world) == 2


async def test_a_refused_request_is_spent_as_well(world: World) -> None:
    units = once_per_request(world.node.units)

    async def refuse() -> None:
        raise Conflict("Not now.")

    with pytest.raises(Conflict):
        await served(world, signed(world), refuse, units)
    with pytest.raises(PermissionRefused):
        await served(world, signed(world), earn(world, units), units)
    assert earned(world) == 0


async def test_what_failed_to_commit_left_nothing_but_a_spent_request(world: World) -> None:
    class Failing:
        """Transactions whose first commit fails."""

        failures = 1

        def __call__(self, *, read_only: bool = False) -> UnitOfWork:
            unit = world.node.units(read_only=read_only)
            former = unit.commit

            def commit() -> None:
                if self.failures:
                    self.failures -= 1
                    raise Unavailable("The disk is full.")
                former()

            unit.commit = commit  # type: ignore[method-assign]
            return unit

    units = once_per_request(Failing())
    with pytest.raises(Unavailable):
        await served(world, signed(world), earn(world, units), units)
    assert earned(world) == 0
    await served(world, signed(world, bytes([1] * NONCE_BYTES)), earn(world, units), units)
    assert earned(world) == 1


async def test_a_spent_request_is_forgotten_only_once_it_could_not_be_valid_any_more(world: World) -> None:
    units = once_per_request(world.node.units)
    await served(world, signed(world), earn(world, units), units)
    request = signed(world)
    world.clock.advance_to(world.clock.now_ms() + LONGEST_MS + authentication.SKEW_MS - 1)
    with world.node.units() as unit:
        unit.nonces.forget(world.clock.now_ms())
        unit.commit()
    with pytest.raises(PermissionRefused):
        await served(world, request, earn(world, units), units)


def test_the_nodes_own_work_has_no_caller() -> None:
    with pytest.raises(PermissionRefused):
        current()
