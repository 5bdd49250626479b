"""What requests leave behind: spent nonces, promised effects, uploads, registered providers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from node.crypto.digest import digest
from node.errors import Conflict, PermissionRefused
from node.ports.providers import Provider, Record
from node.ports.unit_of_work import UnitOfWork
from node.ports.uploads import Upload
from node.settlement.escrow import ContractEscrow
from node.storage.database import SqlUnits

ONE, TWO = digest("test", b"1"), digest("test", b"2")


@pytest.fixture
def units(engine: Engine) -> SqlUnits:
    return SqlUnits(engine, ContractEscrow)


@pytest.fixture
def unit(units: SqlUnits) -> Iterator[UnitOfWork]:
    with units() as begun:
        yield begun


def test_a_nonce_is_spent_once_by_each_signer(unit: UnitOfWork) -> None:
    assert not unit.nonces.used("a", "n")
    unit.nonces.use("a", "n", 10)
    unit.nonces.use("b", "n", 10)
    unit.nonces.use("a", "m", 10)
    assert unit.nonces.used("a", "n")
    with pytest.raises(PermissionRefused, match="carried out before"):
        unit.nonces.use("a", "n", 99)


def test_a_nonce_is_kept_until_its_request_has_expired(unit: UnitOfWork) -> None:
    unit.nonces.use("a", "n", 10)
    unit.nonces.forget(10)
    assert unit.nonces.used("a", "n")
    unit.nonces.forget(11)
    assert not unit.nonces.used("a", "n")


def test_of_many_copies_of_one_request_at_once_one_is_carried_out(units: SqlUnits) -> None:
    def carry_out(_: int) -> bool:
        try:
            with units() as unit:
                unit.log.append(b"effect")
                unit.nonces.use("a", "n", 10)
                unit.commit()
        except PermissionRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(carry_out, range(16))) == 1
    with units(read_only=True) as unit:
        assert unit.log.size() == 1


def test_effects_are_due_in_the_order_of_their_times(unit: UnitOfWork) -> None:
    for time_ms in (30, 10, 20, 10):
        unit.outbox.put("delete", f"{time_ms} ms", time_ms)
    unit.outbox.put("another kind", "5 ms", 5)
    order = []
    while effect := unit.outbox.due("delete", 20):
        order.append(effect.argument)
        unit.outbox.done(effect.id)
    assert order == ["10 ms", "10 ms", "20 ms"]
    assert unit.outbox.due("delete", 29) is None


def test_an_effect_is_forgotten_once_done_and_comes_again_if_it_was_not(unit: UnitOfWork) -> None:
    unit.outbox.put("delete", "a", 10)
    unit.outbox.put("delete", "b", 10)
    first = unit.outbox.due("delete", 10)
    assert first
    for _ in range(2):
        unit.outbox.done(first.id)
    second = unit.outbox.due("delete", 10)
    assert second
    unit.outbox.postpone(second.id, 20)
    assert unit.outbox.due("delete", 19) is None
    assert unit.outbox.due("delete", 20) == replace(second, not_before_ms=20, failures=1)


def test_an_upload_is_its_owners_alone(unit: UnitOfWork) -> None:
    mine, theirs = Upload("me", ONE, 10, 99), Upload("them", ONE, 20, 99)
    unit.uploads.add(mine)
    unit.uploads.add(theirs)
    assert unit.uploads.find("me", ONE) == mine
    assert unit.uploads.find("them", ONE) == theirs
    assert unit.uploads.find("me", TWO) is None
    assert mine.staged_as != theirs.staged_as
    with pytest.raises(Conflict):
        unit.uploads.add(mine)
    for _ in range(2):
        unit.uploads.remove(mine)
    assert unit.uploads.find("me", ONE) is None
    assert unit.uploads.find("them", ONE) == theirs


def test_of_two_pieces_at_the_same_place_one_moves_the_upload_on(unit: UnitOfWork) -> None:
    begun = Upload("me", ONE, 2**40, 99)
    unit.uploads.add(begun)
    longer = replace(begun, received_bytes=2**39, expires_at_ms=100)
    unit.uploads.save(begun, longer)
    assert unit.uploads.find("me", ONE) == longer
    with pytest.raises(Conflict):
        unit.uploads.save(begun, longer)
    whole = replace(longer, received_bytes=2**40, complete=True)
    unit.uploads.save(longer, whole)
    assert unit.uploads.find("me", ONE) == whole


def test_uploads_count_with_their_whole_size_complete_or_not(unit: UnitOfWork) -> None:
    assert unit.uploads.bytes_of("me") == 0
    unit.uploads.add(Upload("me", ONE, 10, 99, received_bytes=4))
    unit.uploads.add(Upload("me", TWO, 20, 99, received_bytes=20, complete=True))
    unit.uploads.add(Upload("them", ONE, 40, 99))
    assert unit.uploads.bytes_of("me") == 30


def test_uploads_expire_complete_or_not(unit: UnitOfWork) -> None:
    late, early = Upload("me", ONE, 10, 30), Upload("me", TWO, 10, 20, 10, complete=True)
    unit.uploads.add(late)
    unit.uploads.add(early)
    assert unit.uploads.expired(19, 9) == []
    assert unit.uploads.expired(30, 9) == [early, late]
    assert unit.uploads.expired(30, 1) == [early]


def test_a_provider_may_renew_what_it_says_of_itself_but_not_since_when_it_is_known(unit: UnitOfWork) -> None:
    assert unit.providers.find("a") is None
    unit.providers.register(Provider("a", "first", "{}", 1, 1))
    unit.providers.register(Provider("a", "second", '{"gpus":1}', 5, 5))
    assert unit.providers.find("a") == Provider("a", "second", '{"gpus":1}', 1, 5)
    assert unit.providers.record("a") == Record()


def test_a_sign_of_life_is_noted_every_ten_seconds_at_most(unit: UnitOfWork) -> None:
    unit.providers.register(Provider("a", "a", "{}", 1, 5))
    for time_ms, noted_ms in ((10_004, 5), (10_005, 10_005), (10_006, 10_005)):
        unit.providers.seen("a", time_ms)
        assert unit.providers.find("a") == Provider("a", "a", "{}", 1, noted_ms)
    unit.providers.seen("nobody", 10_005)
    assert unit.providers.find("nobody") is None
