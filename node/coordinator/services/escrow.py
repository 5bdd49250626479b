"""Accounts of the simulated escrow."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from node.coordinator.services.callers import caller, viewer
from node.coordinator.services.pages import cursor_of, size_of, token_after
from node.errors import InvalidInput, PermissionRefused
from node.wire.escrow import account_to_wire, party_of, transfer_to_wire
from node.wire.hallmark.v1 import escrow_pb2, escrow_pb2_grpc
from node.workflow import accounts
from node.workflow.node import Node

if TYPE_CHECKING:
    from node.coordinator.services.streams import Context


class EscrowService(escrow_pb2_grpc.EscrowServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def GetAccount(self, request: escrow_pb2.GetAccountRequest, context: Context) -> escrow_pb2.Account:
        party = party_of(request.name)
        return account_to_wire(party, await asyncio.to_thread(accounts.account, self._node, viewer(), party))

    async def ListTransfers(
        self, request: escrow_pb2.ListTransfersRequest, context: Context
    ) -> escrow_pb2.ListTransfersResponse:
        party, size = party_of(request.parent), size_of(request.page_size)
        found = await asyncio.to_thread(
            accounts.transfers, self._node, viewer(), party, before=_number(cursor_of(request.page_token)), limit=size
        )
        return escrow_pb2.ListTransfersResponse(
            transfers=[transfer_to_wire(each) for each in found],
            next_page_token=token_after(str(found[-1].number)) if len(found) == size else "",
        )

    async def Deposit(self, request: escrow_pb2.DepositRequest, context: Context) -> escrow_pb2.Account:
        party = party_of(request.account)
        after = await asyncio.to_thread(accounts.deposit, self._node, party, request.request_id, request.amount_minor)
        return account_to_wire(party, after)

    async def Withdraw(self, request: escrow_pb2.WithdrawRequest, context: Context) -> escrow_pb2.Account:
        party = party_of(request.account)
        if party != caller():
            raise PermissionRefused("A party withdraws from its own account.", expected=caller())
        after = await asyncio.to_thread(accounts.withdraw, self._node, party, request.request_id, request.amount_minor)
        return account_to_wire(party, after)


def _number(cursor: str) -> int | None:
    if cursor and not cursor.isdecimal():
        raise InvalidInput("This is no page token of transfers.", field="page_token")
    return int(cursor) if cursor else None
