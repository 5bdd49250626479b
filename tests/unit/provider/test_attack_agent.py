"""Attacks on whoever signs blindly: terms that cost a provider its stake whatever it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.world import MONEY, World, build

from node.core.job import Deadlines, State
from node.core.messages import Commit, Offer
from node.core.training import TrainingSpec
from node.errors import InvalidInput
from node.provider import agent


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    built = build(tmp_path)
    yield built
    built.database.dispose()


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
