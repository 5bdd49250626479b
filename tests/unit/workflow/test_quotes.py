"""What a job would be: an offer that only has to be signed, or the reason why there can be none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes.world import FUNDS_MINOR, POLICY, ROWS, World, key

from node.core import dataset, document
from node.core.job import State
from node.core.messages import seal
from node.core.training import TrainingSpec
from node.errors import Conflict, InvalidInput, NotFound
from node.workflow import accounts, data_sets, submit
from node.workflow.node import Tariff
from node.workflow.quote import Quote, Wish, overridden, proposed_money, quote

SMALL: dict[str, Any] = document.to_json(POLICY)  # type: ignore[assignment]


def quoted(world: World, **changes: Any) -> Quote:
    stored = data_sets.make(world.node, world.client.public.key_id, dataset.to_jsonl(ROWS))
    wish = Wish(stored.digest, world.client.public.hex, None, 0, {}, SMALL, {})
    return quote(world.node, world.client.public.key_id, replace(wish, **changes))


def test_a_quoted_offer_is_taken_once_it_is_signed(world: World) -> None:
    offer = quoted(world, training={"epochs": 6}, deadlines={"train_seconds": 7200}).offer
    assert (offer.training, offer.policy) == (TrainingSpec(epochs=6), POLICY)
    assert offer.deadlines.train_seconds == 7200
    placed = submit.create_job(world.node, world.client.public.key_id, seal(offer, world.client))
    assert placed.job.state is State.OFFERED


def test_a_quote_keeps_nothing(world: World) -> None:
    quoted(world)
    before = world.dump()
    assert quoted(world).offer.link.job != quoted(world).offer.link.job
    assert world.dump() == before


def test_the_price_follows_from_the_tariff_and_the_tokens(world: World) -> None:
    tokens = sum(world.node.tokenizer.row_tokens(row) for row in ROWS)
    world.node = replace(world.node, tariff=Tariff(price_minor=150, arbiter="ed25519:arbiter"))
    made = quoted(world, training={"epochs": 4})
    assert made.trained_tokens == 4 * tokens
    assert made.offer.money.price_minor == -(-150 * 4 * tokens // 1000)
    assert made.offer.arbiter == "ed25519:arbiter"
    assert quoted(world, price_minor=7_000, arbiter="ed25519:other").offer.money.price_minor == 7_000


def test_a_quote_says_what_is_missing_instead_of_refusing(world: World) -> None:
    accounts.deposit(world.node, world.node.key.public.key_id, "for so large a bond", FUNDS_MINOR)
    assert quoted(world, price_minor=FUNDS_MINOR).missing_minor == 0
    assert quoted(world, price_minor=FUNDS_MINOR + 7).missing_minor == 7


def test_every_price_has_stakes_and_fees_that_fit() -> None:
    for price in (1, 2, 9, 10, 99, 100, 101, 12_345, 10**15):
        assert proposed_money(price, "CREDIT").price_minor == price
    for price in (-1, 10**15 + 1):
        with pytest.raises(InvalidInput):
            proposed_money(price, "CREDIT")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no such value": ({"training": {"epoch": 3}}, "training.epoch"),
    "another type": ({"training": {"epochs": "3"}}, "training.epochs"),
    "half a number": ({"policy": SMALL | {"groups": 2.5}}, "policy.groups"),
    "an unknown kind": ({"policy": SMALL | {"drawing": "dice"}}, "policy.drawing"),
    "out of range": ({"training": {"epochs": 0}}, "epochs"),
    "a deadline too long": ({"deadlines": {"train_seconds": 8 * 86_400}}, "train_seconds"),
    "marks that nobody learns": ({"training": {"epochs": 1}}, "marks_per_group"),
    "more marks than rows": ({"policy": SMALL | {"groups": 30}}, "rows"),
    "another party's key": ({"client_key_hex": key("stranger").public.hex}, "client_key_hex"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_work_is_refused_with_its_field(world: World, what: str) -> None:
    changes, field = WRONG[what]
    with pytest.raises(InvalidInput) as refusal:
        quoted(world, **changes)
    assert refusal.value.facts["field"] == field


def test_a_mistyped_value_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InvalidInput, match="Did you mean epochs"):
        overridden(TrainingSpec(), {"epoch": 3}, "training")
    with pytest.raises(InvalidInput, match="There are epochs, "):
        overridden(TrainingSpec(), {"zzz": 3}, "training")


def test_rows_of_somebody_else_are_not_quoted(world: World) -> None:
    stored = data_sets.make(world.node, "somebody", dataset.to_jsonl(ROWS[1:]))
    with pytest.raises(NotFound):
        quoted(world, data_set=stored.digest)


def test_rows_that_were_marked_before_are_not_quoted(world: World) -> None:
    world.advance_to(State.COMMITTED)
    with pytest.raises(Conflict):
        quoted(world)


def test_a_node_without_its_bond_takes_no_offer_that_no_provider_could_countersign(world: World) -> None:
    offer, coordinator = world.offer(), world.node.key.public.key_id
    accounts.withdraw(world.node, coordinator, "all", FUNDS_MINOR)
    for ask in (lambda: quoted(world), lambda: world.create(offer)):
        with pytest.raises(Conflict, match=f"account deposit {coordinator}") as refusal:
            ask()
        assert refusal.value.facts["field"] == "bond_minor"
    accounts.deposit(world.node, coordinator, "too little", offer.money.bond_minor - 1)
    with pytest.raises(Conflict):
        world.create(offer)
    accounts.deposit(world.node, coordinator, "enough", 1)
    assert world.create(offer).state is State.OFFERED
