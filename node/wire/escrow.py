"""Wire messages of the escrow service <-> values of the middle."""

from __future__ import annotations

from node.ports.escrow import EscrowTransfer
from node.wire.hallmark.v1 import escrow_pb2
from node.wire.translate import id_of, time_to_wire
from node.workflow.accounts import Funds


def account_to_wire(party: str, funds: Funds) -> escrow_pb2.Account:
    account, locked = funds.account, funds.locked_minor
    return escrow_pb2.Account(
        name=f"accounts/{party}",
        token=account.token,
        available_minor=account.available_minor,
        locked_minor=sum(locked.values()),
        locked=[
            escrow_pb2.Locked(job=f"jobs/{job_id}", amount_minor=minor) for job_id, minor in sorted(locked.items())
        ],
    )


def transfer_to_wire(transfer: EscrowTransfer) -> escrow_pb2.Transfer:
    return escrow_pb2.Transfer(
        number=transfer.number,
        time=time_to_wire(transfer.time_ms),
        debit=transfer.debit,
        credit=transfer.credit,
        token=transfer.token,
        amount_minor=transfer.amount_minor,
        kind=transfer.reason,
        job=f"jobs/{transfer.job_id}" if transfer.job_id else "",
        phase=f"TRANSFER_PHASE_{transfer.phase.upper()}",
    )


def phase_of(transfer: escrow_pb2.Transfer) -> str:
    """Its phase as `EscrowTransfer` spells it."""
    return escrow_pb2.TransferPhase.Name(transfer.phase).removeprefix("TRANSFER_PHASE_").lower()


def party_of(name: str) -> str:
    """The key id in a resource name "accounts/<key id>". Raises InvalidInput for another kind of name."""
    return id_of(name, "accounts", "<key id>")
