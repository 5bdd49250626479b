"""Double entry and two-phase holds, against the slow obvious version: a list of numbers per account."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts_sim.errors import InsufficientFunds, InvalidAmount
from contracts_sim.ledger import EXTERNAL, MAX_TOTAL, Phase, Totals, Transfer, escrow, fold, party, post, touched
from contracts_sim.money import MAX_MINOR, Amount

ACCOUNTS = (EXTERNAL, "a", "b", "c")


def transfer(debit, credit, minor, phase=Phase.DIRECT, currency="USD", number=0):
    return Transfer(
        id=str(number),
        debit=debit,
        credit=credit,
        amount=Amount(currency, minor),
        reason="Test",
        job_id=None,
        time=0,
        caller="caller",
        request_id=str(number),
        phase=phase,
    )


TRANSFERS = st.lists(
    st.builds(
        transfer,
        st.sampled_from(ACCOUNTS),
        st.sampled_from(ACCOUNTS),
        st.integers(1, 20),
        st.sampled_from([Phase.DIRECT, Phase.DIRECT, Phase.PENDING]),
        st.sampled_from(["USD", "EUR"]),
    ),
    max_size=30,
)


def naive(history):
    """(account, token) -> (balance, available), or None when some account would be overdrawn on the way."""
    balance, held = {}, {}
    for each in history:
        token = each.amount.token
        debit, credit = (each.debit, token), (each.credit, token)
        for key in (debit, credit):
            balance.setdefault(key, 0)
            held.setdefault(key, 0)
        if each.phase is Phase.PENDING:
            held[debit] += each.amount.minor
        else:
            balance[debit] -= each.amount.minor
            balance[credit] += each.amount.minor
        if each.debit != EXTERNAL and balance[debit] - held[debit] < 0:
            return None
    return {key: (balance[key], balance[key] - held[key]) for key in balance}


@given(TRANSFERS)
def test_totals_are_what_adding_up_by_hand_gives(history):
    expected = naive(history)
    if expected is None:
        with pytest.raises(InsufficientFunds):
            fold(history)
        return
    after = fold(history)
    assert {key: (totals.balance, totals.available) for key, totals in after.items()} == expected
    for token in ("USD", "EUR"):
        assert sum(totals.balance for key, totals in after.items() if key[1] == token) == 0


@given(TRANSFERS, st.integers(0, 30))
def test_history_may_be_posted_in_parts(history, cut):
    if naive(history) is None:
        return
    first = fold(history[:cut])
    assert first | post(first, history[cut:]) == fold(history)


def test_a_posted_hold_is_a_payment_and_a_voided_one_is_nothing():
    start = fold([transfer(EXTERNAL, "a", 10)])
    pending = post(start, [transfer("a", "b", 4, Phase.PENDING)])
    assert pending["a", "USD"] == Totals(credits_posted=10, debits_pending=4)
    assert pending["b", "USD"] == Totals(credits_pending=4)
    posted = post(pending, [transfer("a", "b", 4, Phase.POST)])
    assert posted["a", "USD"] == Totals(credits_posted=10, debits_posted=4)
    assert posted["b", "USD"] == Totals(credits_posted=4)
    voided = post(pending, [transfer("a", "b", 4, Phase.VOID)])
    assert voided["a", "USD"] == Totals(credits_posted=10)
    assert voided["b", "USD"] == Totals()


def test_what_an_account_is_promised_survives_what_it_pays_and_receives():
    start = {("a", "USD"): Totals(5, 20, 3, 7)}
    paid = post(start, [transfer("a", "b", 4)])
    assert paid["a", "USD"] == Totals(9, 20, 3, 7)
    assert post(start, [transfer(EXTERNAL, "a", 4)])["a", "USD"] == Totals(5, 24, 3, 7)


def test_an_account_gives_all_it_has_and_no_more():
    start = fold([transfer(EXTERNAL, "a", 10)])
    assert post(start, [transfer("a", "b", 10)])["a", "USD"].available == 0
    with pytest.raises(InsufficientFunds) as refusal:
        post(start, [transfer("a", "b", 11)])
    assert (refusal.value.expected, refusal.value.actual) == ("11 USD", "10 USD")
    assert str(refusal.value) == "a cannot pay for Test: expected 11 USD, got 10 USD"


def test_one_token_does_not_pay_for_another():
    start = fold([transfer(EXTERNAL, "a", 10, currency="EUR")])
    with pytest.raises(InsufficientFunds):
        post(start, [transfer("a", "b", 1, currency="USD")])


def test_posting_changes_nothing_that_it_was_given():
    start = fold([transfer(EXTERNAL, "a", 10)])
    before = dict(start)
    post(start, [transfer("a", "b", 10)])
    assert start == before


def test_untouched_accounts_are_not_reported():
    start = fold([transfer(EXTERNAL, "a", 10), transfer(EXTERNAL, "c", 10)])
    assert set(post(start, [transfer("a", "b", 1)])) == {("a", "USD"), ("b", "USD")}


def test_touched_accounts_come_once_and_sorted():
    history = [transfer("b", "a", 1), transfer("a", "c", 1), transfer("a", "b", 1, currency="EUR")]
    assert touched(history) == (("a", "EUR"), ("a", "USD"), ("b", "EUR"), ("b", "USD"), ("c", "USD"))


@pytest.mark.parametrize("full", ["debit", "credit"])
def test_totals_stay_within_64_bits(full):
    nearly = {
        (EXTERNAL, "USD"): Totals(debits_posted=MAX_TOTAL - 1 if full == "debit" else 0),
        ("a", "USD"): Totals(credits_posted=MAX_TOTAL - 1 if full == "credit" else 0),
    }
    post(nearly, [transfer(EXTERNAL, "a", 1)])
    with pytest.raises(InvalidAmount) as refusal:
        post(nearly, [transfer(EXTERNAL, "a", 2)])
    words = "an account's history would overflow: expected at most 9223372036854775807, got 2"
    assert str(refusal.value) == words


def test_parties_and_jobs_have_accounts_of_different_names():
    assert {party("x"), escrow("x")} == {"party:x", "escrow:x"}


@pytest.mark.parametrize("minor", [-1, 1.0, True, "1", None, MAX_MINOR + 1])
def test_an_amount_is_a_whole_number_within_bounds(minor):
    with pytest.raises(InvalidAmount):
        Amount("USD", minor)


@pytest.mark.parametrize("token", ["", None, 7])
def test_an_amount_is_of_some_token(token):
    with pytest.raises(InvalidAmount):
        Amount(token, 1)


def test_amounts_from_nothing_to_the_largest_are_fine():
    assert str(Amount("USD", 0)) == "0 USD"
    assert Amount("USD", MAX_MINOR).minor == 2**53 - 1
