"""Sixty-four settlers over a thousand jobs, on both databases: a thousand settlements."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine, func, select

from contracts_sim import Amount, Call, Contract, Terms
from node.errors import Conflict, Unavailable
from node.ports.escrow import EscrowCall
from node.settlement import schema
from node.settlement.escrow import ContractEscrow
from node.settlement.sql_state import SqlState

JOBS, SETTLERS, TRIES_PER_JOB = 1000, 64, 3
SIGNERS = frozenset({"client", "provider", "evaluator"})
TERMS = Terms(
    client="client",
    provider="provider",
    evaluator="evaluator",
    arbiter=None,
    token="USD",
    price_minor=1000,
    stake_minor=300,
    bond_minor=1200,
    fee_minor=50,
    challenge_bond_minor=110,
    cancel_fee_minor=0,
    **{name: 10 for name in Terms.__slots__ if name.endswith("_ms")},
    terms_digest="terms",
    manifest_commitment="commitment",
)


def evaluated_jobs(engine: Engine) -> list[str]:
    """A thousand jobs that were accepted, their challenge window over from time 10 on."""
    job_ids = [f"job-{number}" for number in range(JOBS)]
    with engine.begin() as connection:
        state = SqlState(connection)
        contract = Contract(state)
        for party in sorted(SIGNERS):
            contract.deposit(Call(party, "deposit", 0), Amount("USD", 1200 * JOBS))
        state.read_jobs(job_ids)
        for job in job_ids:
            contract.place_hold(Call("client", f"{job}/hold", 0), job, Amount("USD", 1000), expires_at=1)
            contract.create_job(Call("client", f"{job}/create", 0), job, TERMS, signed_by=SIGNERS)
            contract.fund(Call("client", f"{job}/fund", 0), job, expected_terms="terms")
            contract.receive_data(Call("provider", f"{job}/receive", 0), job, receipt="receipt")
            contract.submit(Call("provider", f"{job}/submit", 0), job, deliverable="adapter")
            contract.acknowledge_upload(Call("evaluator", f"{job}/upload", 0), job)
            contract.reveal(Call("evaluator", f"{job}/reveal", 0), job, manifest="manifest")
            contract.complete(Call("evaluator", f"{job}/complete", 0), job, reason="evidence")
        state.flush()
    return job_ids


def settler(engine: Engine, name: str, job_ids: list[str]) -> Counter[str]:
    """Settles each, once the database lets it; counts what it was told."""
    told: Counter[str] = Counter()
    for job_id in job_ids:
        call = EscrowCall(name, job_id, 10)
        while True:
            try:
                with engine.begin() as connection:
                    ContractEscrow(connection).settle(call, job_id)
            except Unavailable:
                told["busy"] += 1
                continue
            except Conflict as refusal:
                told[str(refusal.facts["code"])] += 1
            else:
                told["settled"] += 1
            break
    return told


def test_each_job_settles_once_whoever_else_tries(escrow_engine):
    job_ids = evaluated_jobs(escrow_engine)
    shares: list[list[str]] = [[] for _ in range(SETTLERS)]
    for turn in range(TRIES_PER_JOB):
        random.Random(turn).shuffle(job_ids)
        for place, job_id in enumerate(job_ids):
            shares[(place + turn) % SETTLERS].append(job_id)
    with ThreadPoolExecutor(SETTLERS) as pool:
        names = [f"settler-{number}" for number in range(SETTLERS)]
        told = sum(pool.map(settler, [escrow_engine] * SETTLERS, names, shares), Counter())
    tries = sum(len(set(share)) for share in shares)
    repeated = sum(len(share) for share in shares) - tries  # the same settler's same request: its first answer again
    assert told["settled"] + told["AlreadySettled"] == tries + repeated
    assert JOBS <= told["settled"] <= JOBS + repeated
    with escrow_engine.begin() as connection:
        table = schema.transfers.c
        paid = select(func.count(), func.sum(table.amount_minor)).where(table.reason == "PaymentReleased")
        assert connection.execute(paid).one() == (JOBS, 950 * JOBS)
        settlements = select(func.count()).where(schema.transactions.c.function == "settle")
        assert connection.execute(settlements).scalar_one() == JOBS
        escrow = ContractEscrow(connection)
        assert escrow.account("party:client", "USD").balance_minor == 200 * JOBS
        assert escrow.account("party:provider", "USD").balance_minor == (1200 + 950) * JOBS
        assert escrow.account("party:evaluator", "USD").balance_minor == (1200 + 50) * JOBS
