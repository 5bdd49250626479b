"""A party's money in the simulated escrow: looked at, brought in from outside, taken out.

A viewer is a key id, or None for the operator, who sees every account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from node.core.job import SILENCE
from node.crypto.signing import is_key_id
from node.errors import InvalidInput, NotFound
from node.ports.escrow import EscrowAccount, EscrowCall, EscrowTransfer
from node.ports.unit_of_work import UnitOfWork
from node.workflow.node import Node

#: Far below what an account can hold: nobody shall fill another party's account until no payment fits into it.
MAX_BALANCE_MINOR = 10**15
#: Of a request id.
MOST_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Funds:
    """What a party has: in its account, and by job id in jobs that have not ended, in minor units."""

    account: EscrowAccount
    locked_minor: Mapping[str, int]


def account(node: Node, viewer: str | None, party: str) -> Funds:
    """What a party has. Raises NotFound for somebody else's account."""
    _require_own(viewer, party)
    with node.units(read_only=True) as unit:
        return _funds(node, unit, party)


def transfers(
    node: Node, viewer: str | None, party: str, *, before: int | None, limit: int
) -> Sequence[EscrowTransfer]:
    """A party's transfers, newest first, numbered below `before`. Raises NotFound for somebody else's account."""
    _require_own(viewer, party)
    with node.units(read_only=True) as unit:
        return unit.escrow.newest_transfers(f"party:{party}", before=before, limit=limit)


def deposit(node: Node, party: str, request_id: str, amount_minor: int) -> Funds:
    """Credits a party from outside the simulation, once per request id.

    Raises:
        InvalidInput: no such party can be, the amount is none, or the account would hold too much.
        Conflict: the request id stands for another deposit.
    """
    if not is_key_id(party):  # nobody could ever take the money out again
        raise InvalidInput(
            f"{party[:80]!r} is no key id: `ed25519:` and 32 hexadecimal digits.",
            fix="An account is named after its party's key id.",
            field="account",
        )
    with node.units() as unit:
        call = _call(node, party, "deposit", request_id)
        unit.escrow.deposit(call, node.tariff.token, amount_minor)
        after = _funds(node, unit, party)
        if after.account.balance_minor > MAX_BALANCE_MINOR:
            raise InvalidInput(f"An account is filled up to {MAX_BALANCE_MINOR} only.", field="amount_minor")
        unit.commit()
        return after


def withdraw(node: Node, party: str, request_id: str, amount_minor: int) -> Funds:
    """Pays a party out what it has available, once per request id.

    Raises:
        InvalidInput: the amount is none.
        Conflict: less is available, or the request id stands for another withdrawal.
    """
    with node.units() as unit:
        unit.escrow.withdraw(_call(node, party, "withdraw", request_id), node.tariff.token, amount_minor)
        after = _funds(node, unit, party)
        unit.commit()
        return after


def _funds(node: Node, unit: UnitOfWork, party: str) -> Funds:
    if party == node.key.public.key_id:
        jobs = [job.id for job in unit.jobs.in_states(tuple(SILENCE))]
    else:
        jobs = unit.jobs.unfinished_of(party)
    token = node.tariff.token
    return Funds(unit.escrow.account(f"party:{party}", token), unit.escrow.locked(party, token, jobs))


def _require_own(viewer: str | None, party: str) -> None:
    if viewer not in (None, party):
        raise NotFound("This is not your account.", fix="Ask for your own.", field="name")


def _call(node: Node, party: str, what: str, request_id: str) -> EscrowCall:
    """No request of a job's own to the escrow starts with a slash."""
    if not 1 <= len(request_id) <= MOST_CHARACTERS:
        raise InvalidInput(f"A request id has between 1 and {MOST_CHARACTERS} characters.", field="request_id")
    return EscrowCall(party, f"/{what}/{request_id}", node.clock.now_ms())
