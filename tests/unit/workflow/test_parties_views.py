"""Who sees which job and which account, what a job says of itself, and how a client takes an offer back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakes.adapters import adapter_files
from fakes.world import FUNDS_MINOR, JOB, MONEY, World, key

from node.core.adapter import FILES, adapter_digest
from node.core.events import Progress
from node.core.job import SILENCE, State
from node.core.verdict import Outcome
from node.crypto.digest import sha256_digest
from node.errors import Conflict, InvalidInput, NotFound
from node.ports.escrow import EscrowCall
from node.workflow import accounts, cancel, queries

READS: dict[str, Callable[[World, str | None], object]] = {
    "job": lambda world, viewer: queries.job(world.node, viewer, JOB),
    "events": lambda world, viewer: queries.events(world.node, viewer, JOB, after=0),
    "receipt": lambda world, viewer: queries.receipt(world.node, viewer, JOB),
}


@pytest.mark.parametrize("read", READS)
def test_a_job_is_shown_to_its_parties_and_the_operator_alone(world: World, read: str) -> None:
    world.advance_to(State.SETTLED)
    parties = (world.client, world.provider, key("arbiter"))
    for viewer in (None, *(party.public.key_id for party in parties)):
        READS[read](world, viewer)
    for stranger in ("", key("stranger").public.key_id):
        with pytest.raises(NotFound) as refusal:
            READS[read](world, stranger)
        with pytest.raises(NotFound) as nothing:
            queries.job(world.node, stranger, "job-9")
        assert str(refusal.value).replace(JOB, "job-9") == str(nothing.value)


def test_a_job_says_at_each_stage_what_is_known(world: World) -> None:
    me = world.client.public.key_id
    for state in (State.OFFERED, State.COMMITTED, State.TRAINING):
        world.advance_to(state)
        view = queries.job(world.node, me, JOB)
        assert (view.job.state, view.verdict, view.settled, view.adapter) == (state, None, None, ())
        assert view.on_silence == queries.FORETOLD[SILENCE[state].money]
    world.clock.advance_to(world.clock.now_ms() + 10_000)
    world.beat(Progress(2, 8, 0.5, 1.5, 200.0))
    view = queries.job(world.node, me, JOB)
    assert view.estimated_finish_ms == world.clock.now_ms() + 30_000
    world.advance_to(State.EVALUATED)
    view = queries.job(world.node, me, JOB)
    assert view.verdict is not None
    assert (view.verdict.outcome, view.settled, view.adapter) == (Outcome.ACCEPT, None, ())
    assert view.estimated_finish_ms is None
    world.silence()
    view = queries.job(world.node, me, JOB)
    assert (view.settled, view.on_silence) == (Outcome.ACCEPT, "")
    assert {file.name for file in view.adapter} == FILES


def test_the_adapter_is_the_clients_once_an_accept_is_settled(world: World) -> None:
    me = world.client.public.key_id
    world.advance_to(State.EVALUATED)
    with pytest.raises(Conflict) as refusal:
        queries.adapter_file(world.node, me, JOB, "adapter_config.json")
    assert refusal.value.facts["actual"] == "evaluated"
    world.silence()
    files = {name: world.node.blobs.get(queries.adapter_file(world.node, me, JOB, name)) for name in FILES}
    assert adapter_digest(files) == world.chain().messages[4].adapter
    for file in queries.job(world.node, me, JOB).adapter:
        assert (file.digest, file.size_bytes) == (sha256_digest(files[file.name]), len(files[file.name]))
    for name in ("receipt.json", "../adapter_config.json", ""):
        with pytest.raises(NotFound):
            queries.adapter_file(world.node, me, JOB, name)
    for other in (world.provider, key("arbiter")):
        with pytest.raises(NotFound):
            queries.adapter_file(world.node, other.public.key_id, JOB, "adapter_config.json")


def test_a_rejected_adapter_is_nobodys(world: World) -> None:
    world.advance_to(State.SETTLED, adapter_files([]))
    with pytest.raises(Conflict, match="It has ended otherwise"):
        queries.adapter_file(world.node, world.client.public.key_id, JOB, "adapter_config.json")
    assert queries.job(world.node, None, JOB).adapter == ()


@pytest.mark.parametrize("state", [State.OFFERED, State.COMMITTED])
def test_before_terms_a_client_cancels_for_nothing(world: World, state: State) -> None:
    world.advance_to(state)
    for _ in range(2):
        assert cancel.cancel(world.node, world.client.public.key_id, JOB).state is State.CANCELLED
    assert world.available(world.client) == FUNDS_MINOR
    assert world.told()[-1] == "The client cancelled; the hold is released."


@pytest.mark.parametrize("state", [State.AGREED, State.TRAINING, State.EVALUATED, State.SETTLED])
def test_after_terms_cancelling_is_refused_with_what_happens_instead(world: World, state: State) -> None:
    world.advance_to(state)
    with pytest.raises(Conflict) as refusal:
        cancel.cancel(world.node, world.client.public.key_id, JOB)
    assert (refusal.value.facts["expected"], refusal.value.facts["actual"]) == ("offered or committed", state.value)
    assert refusal.value.fix
    assert world.job().state is state


def test_only_the_client_cancels(world: World) -> None:
    world.advance_to(State.COMMITTED)
    world.lease()
    for other in (world.provider, key("stranger")):
        with pytest.raises(NotFound):
            cancel.cancel(world.node, other.public.key_id, JOB)


def test_an_account_is_shown_to_its_party_and_the_operator(world: World) -> None:
    me = world.client.public.key_id
    for viewer in (me, None):
        assert accounts.account(world.node, viewer, me).account.available_minor == FUNDS_MINOR
        (funds,) = accounts.transfers(world.node, viewer, me, before=None, limit=10)
        assert (funds.credit, funds.amount_minor) == (f"party:{me}", FUNDS_MINOR)
    with pytest.raises(NotFound):
        accounts.account(world.node, world.provider.public.key_id, me)
    with pytest.raises(NotFound):
        accounts.transfers(world.node, world.provider.public.key_id, me, before=None, limit=10)


@pytest.mark.parametrize(
    ("state", "client", "provider", "coordinator"),
    [
        (State.OFFERED, MONEY.price_minor, 0, 0),
        (State.COMMITTED, MONEY.price_minor, 0, 0),
        (State.TRAINING, MONEY.price_minor, MONEY.stake_minor, MONEY.bond_minor),
        (State.EVALUATED, MONEY.price_minor, MONEY.stake_minor, MONEY.bond_minor),
        (State.SETTLED, 0, 0, 0),
    ],
)
def test_what_a_party_has_locked_is_told_by_job(
    world: World, state: State, client: int, provider: int, coordinator: int
) -> None:
    world.advance_to(state)
    for party, minor in ((world.client, client), (world.provider, provider), (world.node.key, coordinator)):
        funds = accounts.account(world.node, None, party.public.key_id)
        assert funds.locked_minor == ({JOB: minor} if minor else {})


def test_transfers_come_in_pages_newest_first(world: World) -> None:
    me = world.client.public.key_id
    for number in range(5):
        accounts.deposit(world.node, me, f"more-{number}", 1 + number)
    first = accounts.transfers(world.node, me, me, before=None, limit=4)
    assert [each.amount_minor for each in first] == [5, 4, 3, 2]
    rest = accounts.transfers(world.node, me, me, before=first[-1].number, limit=4)
    assert [each.amount_minor for each in rest] == [1, FUNDS_MINOR]


@pytest.mark.parametrize("act", [accounts.deposit, accounts.withdraw])
def test_money_moves_once_per_request_and_other_content_is_refused(world: World, act: Callable[..., object]) -> None:
    me = world.client.public.key_id
    first = act(world.node, me, "again", 7)
    assert act(world.node, me, "again", 7) == first
    with pytest.raises(Conflict):
        act(world.node, me, "again", 8)
    for wrong in ("", "x" * 129):
        with pytest.raises(InvalidInput):
            act(world.node, me, wrong, 7)
    with pytest.raises(InvalidInput):
        act(world.node, me, "less", -7)


def test_nobody_withdraws_what_is_on_hold(world: World) -> None:
    world.advance_to(State.OFFERED)
    me, price = world.client.public.key_id, world.chain().offer.money.price_minor
    with pytest.raises(Conflict):
        accounts.withdraw(world.node, me, "all", FUNDS_MINOR)
    assert accounts.withdraw(world.node, me, "rest", FUNDS_MINOR - price).account.available_minor == 0


def test_no_deposit_or_withdrawal_stands_in_for_a_jobs_own_request(world: World) -> None:
    me = world.client.public.key_id
    accounts.deposit(world.node, me, f"{JOB}/hold", 1)
    accounts.withdraw(world.node, me, f"{JOB}/hold", 1)
    world.advance_to(State.OFFERED)
    with world.node.units() as unit:
        assert unit.escrow.deposit(EscrowCall(me, "other", 1), "CREDIT", 1)


def test_no_account_is_filled_until_no_payment_fits_into_it(world: World) -> None:
    provider = world.provider.public.key_id
    world.advance_to(State.EVALUATED)
    for party, amount in ((provider, accounts.MAX_BALANCE_MINOR), (provider, 2**53 - 1), (provider[:16], 1), ("", 1)):
        with pytest.raises(InvalidInput):
            accounts.deposit(world.node, party, "much", amount)
    accounts.deposit(world.node, provider, "much", accounts.MAX_BALANCE_MINOR - FUNDS_MINOR)
    world.silence()
    assert world.job().state is State.SETTLED
    assert world.available(world.provider) > accounts.MAX_BALANCE_MINOR
