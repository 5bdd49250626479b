"""Which jobs a provider takes, and what it says of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes.world import BASE_MODEL, MONEY, POLICY, key
from hypothesis import given
from hypothesis import strategies as st

from node.core.job import Deadlines
from node.core.messages import Chain, Commit, Link, Offer
from node.core.training import TrainingSpec
from node.crypto.digest import digest
from node.provider.acceptance import Means, Reason, reason_to_refuse

ANY = digest("test", b"any")
OFFER = Offer(
    link=Link("job-1", 0, None),
    client_key_hex=key("client").public.hex,
    coordinator=key("coordinator").public.key_id,
    arbiter=None,
    base_model=BASE_MODEL,
    dataset=ANY,
    training=TrainingSpec(epochs=5),
    policy=POLICY,
    money=MONEY,
    deadlines=Deadlines(train_seconds=1000),
)
COMMIT = Commit(Link("job-1", 1, ANY), rows=100, data_root=ANY, manifest_root=ANY, seed=ANY)
MEANS = Means(
    account="ed25519:00",
    least_price_minor_per_1000_tokens=0,
    trainer_lacks="",
    tokens_per_second=100.0,
    free_bytes=2**40,
    available_minor=MONEY.stake_minor,
)


def reason(means: Means = MEANS, *, tokens: int = 50_000, adapter_bytes: int = 2**20, **changes: Any) -> Reason | None:
    chain = Chain((), (replace(OFFER, **changes), COMMIT))
    return reason_to_refuse(chain, means, trained_tokens=tokens, adapter_bytes=adapter_bytes)


def told(*arguments: Any, **changes: Any) -> str:
    found = reason(*arguments, **changes)
    assert found is not None
    assert found.needs_minor == 0
    return found.told


def test_a_job_that_can_be_finished_is_taken() -> None:
    assert reason() is None


def test_no_job_is_taken_while_nothing_can_be_trained() -> None:
    assert told(replace(MEANS, trainer_lacks="Trainings take 2 GPUs.")) == "Trainings take 2 GPUs."


def test_no_stake_beyond_the_price_is_wagered() -> None:
    assert "exceeds its price" in told(money=replace(MONEY, stake_minor=MONEY.price_minor + 1))


def test_what_no_machine_can_train_is_not_promised_however_few_tokens_it_is_said_to_have() -> None:
    """A forfeited stake is the client's: it would earn by granting a second."""
    assert "grants 1 s to train 100 rows 5 times" in told(tokens=0, deadlines=Deadlines(train_seconds=1))


def test_a_provider_works_for_no_less_than_its_price() -> None:
    paid = 1000 * MONEY.price_minor // 50_000
    assert reason(replace(MEANS, least_price_minor_per_1000_tokens=paid)) is None
    refused = told(replace(MEANS, least_price_minor_per_1000_tokens=paid + 1))
    assert "pays 10,000 CREDIT for 50,000 trained tokens; your least price is 201 for 1,000" in refused


def test_a_training_that_would_fill_most_of_its_time_is_not_begun() -> None:
    assert reason(tokens=80_000) is None
    assert "81,000 tokens would take about 810 s at 100 tokens/s, and it grants 1,000 s" in told(tokens=81_000)


@given(speed=st.floats(1, 1e6), tokens=st.integers(0, 10**9))
def test_a_faster_provider_takes_whatever_a_slower_one_takes(speed: float, tokens: int) -> None:
    if reason(replace(MEANS, tokens_per_second=speed), tokens=tokens) is None:
        assert reason(replace(MEANS, tokens_per_second=2 * speed), tokens=tokens) is None


def test_a_job_whose_files_have_no_room_is_refused() -> None:
    assert "64 MiB of the disk are free" in told(replace(MEANS, free_bytes=2**26))
    assert "may need 1,164 MiB" in told(replace(MEANS, free_bytes=2**26), adapter_bytes=100 * 2**20)


@pytest.mark.parametrize("available_minor", [0, MONEY.stake_minor - 1])
def test_a_missing_stake_is_named_with_what_to_do_about_it(available_minor: int) -> None:
    found = reason(replace(MEANS, available_minor=available_minor))
    assert found is not None
    assert found.needs_minor == MONEY.stake_minor
    assert f"`hallmark account deposit ed25519:00 {MONEY.stake_minor - available_minor}`" in found.told


def test_money_is_asked_for_only_where_it_would_help() -> None:
    assert "trained tokens" in told(replace(MEANS, available_minor=0, least_price_minor_per_1000_tokens=10**6))
