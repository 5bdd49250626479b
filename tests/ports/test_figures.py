"""What operators read off the database: sums that agree with the jobs and accounts behind them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Table

from node.ports.escrow import EscrowCall
from node.ports.figures import MoneyFigures, StateFigures
from node.settlement.escrow import ContractEscrow
from node.settlement.figures import money_by_kind
from node.storage import schema
from node.storage.database import SqlUnits
from node.storage.figures import jobs_by_state, outbox_due, outbox_given_up


def put(connection: Connection, table: Table, **told: Any) -> None:
    """A row with something in each column that demands it."""
    empty = {int: 0, str: "", bytes: b""}
    needed = {
        each.name: empty[each.type.python_type] for each in table.c if not each.nullable and each.name != "number"
    }
    connection.execute(table.insert().values(needed | told))


def test_jobs_are_counted_by_state_and_the_first_to_be_due_is_told(engine: Engine) -> None:
    with engine.begin() as connection:
        put(connection, schema.data_sets)
        put(connection, schema.jobs, id="a", state="revealed", created_at_ms=1000, due_at_ms=9000)
        put(connection, schema.jobs, id="b", state="revealed", created_at_ms=2000, due_at_ms=8000)
        put(connection, schema.jobs, id="c", state="settled", created_at_ms=500, due_at_ms=None)
        assert jobs_by_state(connection) == (
            StateFigures("revealed", 2, 1000, 8000),
            StateFigures("settled", 1, None, None),
        )


def test_an_empty_database_has_figures_too(engine: Engine) -> None:
    with engine.begin() as connection:
        assert (jobs_by_state(connection), money_by_kind(connection), outbox_due(connection, 10)) == ((), (), 0)


def test_money_is_summed_by_kind_of_account_and_adds_up_to_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        escrow = ContractEscrow(connection)
        for number, party in enumerate(("alice", "bob")):
            escrow.deposit(EscrowCall(party, "once", 0), "CREDIT", 100 + number)
        escrow.place_hold(EscrowCall("alice", "hold", 0), "job-1", "CREDIT", 40, expires_at_ms=10)
        figures = money_by_kind(connection)
        accounts = escrow.accounts()
    assert figures == (
        MoneyFigures("escrow", "CREDIT", 0, 0),
        MoneyFigures("external", "CREDIT", -201, 0),
        MoneyFigures("party", "CREDIT", 201, 40),
    )
    assert sum(each.balance_minor for each in figures) == sum(each.balance_minor for each in accounts) == 0


@pytest.mark.parametrize(("now_ms", "due"), [(0, 0), (5, 1), (50, 2)])
def test_the_outbox_counts_what_is_due_only(engine: Engine, now_ms: int, due: int) -> None:
    with engine.begin() as connection:
        for not_before_ms in (5, 50, 500):
            effect = {"kind": "try", "argument": "x", "not_before_ms": not_before_ms}
            connection.execute(schema.outbox.insert().values(effect))
        assert outbox_due(connection, now_ms) == due


def test_what_was_given_up_is_counted_until_it_is_taken_up_again(engine: Engine) -> None:
    units = SqlUnits(engine, ContractEscrow)
    with units() as unit:
        unit.outbox.put("try", "x", 5)
        effect = unit.outbox.due("try", 5)
        assert effect
        unit.outbox.postpone(effect.id, 7)
        assert unit.outbox.due("try", 7) == replace(effect, not_before_ms=7, failures=1)
        unit.outbox.give_up(effect.id)
        assert unit.outbox.due("try", 2**62) is None
        unit.commit()
    with engine.begin() as connection:
        assert outbox_given_up(connection) == 1
    with units() as unit:
        unit.outbox.take_up(9)
        assert unit.outbox.due("try", 9) == replace(effect, not_before_ms=9)
