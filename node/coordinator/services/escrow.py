"""Accounts of the simulated escrow."""

# ruff: noqa: N802 - gRPC names the methods
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from node.errors import InvalidInput
from node.ports.escrow import EscrowCall
from node.wire.hallmark.v1 import escrow_pb2, escrow_pb2_grpc
from node.workflow.node import Node

TOKEN = "CREDIT"
#: Far below what an account can hold: nobody shall fill another party's account until no payment fits into it.
MAX_BALANCE_MINOR = 10**15
MAX_NAME = 128


if TYPE_CHECKING:
    from node.coordinator.services.streams import Context


class EscrowService(escrow_pb2_grpc.EscrowServiceServicer):
    def __init__(self, node: Node) -> None:
        self._node = node

    async def Deposit(self, request: escrow_pb2.DepositRequest, context: Context) -> escrow_pb2.Balance:
        def deposit() -> escrow_pb2.Balance:
            if len(request.party) > MAX_NAME or len(request.request_id) > MAX_NAME:
                raise InvalidInput(f"A party and a request id have at most {MAX_NAME} characters.", field="party")
            with self._node.units() as unit:
                # no job's own request to the escrow starts with a slash
                call = EscrowCall(request.party, f"/deposit/{request.request_id}", self._node.clock.now_ms())
                unit.escrow.deposit(call, TOKEN, request.amount_minor)
                if unit.escrow.account(f"party:{request.party}", TOKEN).balance_minor > MAX_BALANCE_MINOR:
                    raise InvalidInput(f"An account is filled up to {MAX_BALANCE_MINOR} only.", field="amount_minor")
                unit.commit()
            return self._balance(request.party)

        return await asyncio.to_thread(deposit)

    async def GetBalance(self, request: escrow_pb2.GetBalanceRequest, context: Context) -> escrow_pb2.Balance:
        return await asyncio.to_thread(self._balance, request.party)

    def _balance(self, party: str) -> escrow_pb2.Balance:
        with self._node.units() as unit:
            account = unit.escrow.account(f"party:{party}", TOKEN)
        return escrow_pb2.Balance(
            party=party, token=TOKEN, available_minor=account.available_minor, locked_minor=account.held_minor
        )
