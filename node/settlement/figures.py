"""Sums over all accounts by kind, for the operator: who holds how much is nobody's business here."""

from __future__ import annotations

from sqlalchemy import Connection, case, func, select

from node.ports.figures import MoneyFigures
from node.settlement.schema import accounts


def money_by_kind(connection: Connection) -> tuple[MoneyFigures, ...]:
    """The kind of an account is its name up to the colon (`contracts_sim.ledger`)."""
    name = accounts.c.account
    kind = case(
        *((name.startswith(f"{each}:"), each) for each in ("party", "escrow")),
        else_=name,
    )
    query = (
        select(
            kind.label("kind"),
            accounts.c.token,
            func.sum(accounts.c.credits_posted - accounts.c.debits_posted),
            func.sum(accounts.c.debits_pending),
        )
        .group_by("kind", accounts.c.token)
        .order_by("kind", accounts.c.token)
    )
    return tuple(
        MoneyFigures(kind, token, int(balance), int(held)) for kind, token, balance, held in connection.execute(query)
    )
