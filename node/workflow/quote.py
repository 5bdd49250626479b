"""What a job would be, before anybody pays: the complete offer, ready to be signed, and what it comes to.

Keeps nothing: whoever likes the quote signs the offer in it. A quote that cannot work is refused as its offer would be.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from node.core import document
from node.core.job import Deadlines
from node.core.messages import Link, Money, Offer
from node.core.policy import Policy
from node.core.training import TrainingSpec
from node.crypto.digest import Digest
from node.crypto.signing import PublicKey
from node.errors import IntegrityFailure, InvalidInput
from node.ports.data_sets import DataSet
from node.workflow import data_sets
from node.workflow.node import Node, Tariff
from node.workflow.submit import asked_rows, check_offer, fits, misfit

JOB_ID_BYTES = 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client says of the job that it wants; all else is proposed.

    Attributes:
        client_key_hex: the key that will sign the offer.
        arbiter: key id; the operator's if None.
        price_minor: the operator's tariff if 0.
        training, policy, deadlines: fields that differ from the defaults, by name, as JSON has them.
    """

    data_set: Digest
    client_key_hex: str
    arbiter: str | None
    price_minor: int
    training: Mapping[str, Any]
    policy: Mapping[str, Any]
    deadlines: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Quote:
    """An offer and its figures.

    Attributes:
        missing_minor: what the client would have to bring in besides what it has.
        rows: of the data set; `offer.policy` says how many become marks or are held back.
        trained_tokens: over all epochs.
        verified_rows: that verification asks base and adapter for.
    """

    offer: Offer
    missing_minor: int
    rows: int
    trained_tokens: int
    verified_rows: int


def quote(node: Node, caller: str, wish: Wish) -> Quote:
    """The job that follows from a wish.

    Raises:
        InvalidInput, NotFound, Conflict: it cannot work; see `submit.create_job`.
    """
    if PublicKey.from_hex(wish.client_key_hex).key_id != caller:
        raise InvalidInput(
            "This is another party's key: an offer is signed by who places it.", field="client_key_hex", expected=caller
        )
    training = overridden(TrainingSpec(), wish.training, "training")
    with node.units(read_only=True) as unit:
        stored = data_sets.of_owner(unit, caller, wish.data_set)
        offer = Offer(
            link=Link(node.entropy.bytes(JOB_ID_BYTES).hex(), 0, None),
            client_key_hex=wish.client_key_hex,
            coordinator=node.key.public.key_id,
            arbiter=wish.arbiter or node.tariff.arbiter,
            base_model=node.base_model,
            dataset=wish.data_set,
            training=training,
            policy=overridden(Policy(), wish.policy, "policy"),
            money=proposed_money(wish.price_minor or _price(node.tariff, stored, training), node.tariff.token),
            deadlines=overridden(Deadlines(), wish.deadlines, "deadlines"),
        )
        check_offer(node, unit, caller, offer)
        account = unit.escrow.account(f"party:{caller}", offer.money.token)
    if not fits(stored, offer):
        raise misfit(node, offer)
    return Quote(
        offer,
        missing_minor=max(0, offer.money.price_minor - account.available_minor),
        rows=stored.rows,
        trained_tokens=data_sets.trained_tokens(stored, training),
        verified_rows=asked_rows(offer.policy),
    )


def proposed_money(price_minor: int, token: str) -> Money:
    """Stake, bond and fees in proportion to a price. Raises InvalidInput for a price that is none."""
    return Money(
        token,
        price_minor=price_minor,
        stake_minor=price_minor // 5,
        bond_minor=price_minor,
        fee_minor=price_minor // 100,
        challenge_bond_minor=price_minor // 10,
        cancel_fee_minor=price_minor // 10,
    )


def overridden(default: T, given: Mapping[str, Any], name: str) -> T:
    """A document with some fields replaced by what JSON gives.

    Raises:
        InvalidInput: naming the field: there is none of that name, or its value is of another type or out of range.
    """
    types = typing.get_type_hints(type(default))
    for field in given:
        if field not in types:
            nearest = difflib.get_close_matches(field, types, n=1)
            fix = f"Did you mean {nearest[0]}?" if nearest else f"There are {', '.join(types)}."
            raise InvalidInput(f"There is no {name} value {field[:40]!r}.", fix=fix, field=f"{name}.{field[:40]}")
    try:
        values = {
            field: document.from_json(types[field], value, path=f"{name}.{field}") for field, value in given.items()
        }
    except IntegrityFailure as fault:
        raise InvalidInput(fault.message, field=str(fault.facts.get("field", name))) from fault
    return replace(default, **values)  # type: ignore[type-var]


def _price(tariff: Tariff, stored: DataSet, training: TrainingSpec) -> int:
    return max(1, -(-tariff.price_minor * data_sets.trained_tokens(stored, training) // 1000))
