"""Settlements per second, durable, beside the same disk's raw commit rate: `python tests/bench/bench_escrow.py`.

Raw is one row in one commit through the bare driver, in SQLite with the node's own settings (WAL, synchronous FULL).
Rounds alternate between raw commits, settlements one by one and settlements in groups, so that all three meet the same
disk; each figure is a median over rounds. `QUICK=1` makes fewer rounds. Exit status 1 if the target is missed.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from contracts_sim import Amount, Call, Contract, Terms
from node.ports.escrow import EscrowCall
from node.settlement import schema
from node.settlement.escrow import ContractEscrow
from node.settlement.sql_state import SqlState
from node.storage.database import open_engine

ROUNDS = 6 if os.environ.get("QUICK") else 30
ALONE, GROUP, GROUPS = 100, 256, 4
TARGET_ALONE, TARGET_GROUP = 0.8, 10.0
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


def evaluate(contract: Contract, job: str) -> None:
    """Takes a new job to where only the clock is missing."""
    contract.place_hold(Call("client", f"{job}/hold", 0), job, Amount("USD", 1000), expires_at=1)
    contract.create_job(Call("client", f"{job}/create", 0), job, TERMS, signed_by=SIGNERS)
    contract.fund(Call("client", f"{job}/fund", 0), job, expected_terms="terms")
    contract.receive_data(Call("provider", f"{job}/receive", 0), job, receipt="receipt")
    contract.submit(Call("provider", f"{job}/submit", 0), job, deliverable="adapter")
    contract.acknowledge_upload(Call("evaluator", f"{job}/upload", 0), job)
    contract.reveal(Call("evaluator", f"{job}/reveal", 0), job, manifest="manifest")
    contract.complete(Call("evaluator", f"{job}/complete", 0), job, reason="evidence")


def per_second(times: int, work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return times / (time.perf_counter() - start)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bench-escrow-", dir=Path.cwd()) as folder:
        engine = open_engine(f"sqlite:///{folder}/escrow.sqlite")
        schema.metadata.create_all(engine)
        jobs = [f"job-{number}" for number in range(ROUNDS * (ALONE + GROUP * GROUPS))]
        with engine.begin() as connection:
            state = SqlState(connection)
            contract = Contract(state)
            for party in sorted(SIGNERS):
                contract.deposit(Call(party, "deposit", 0), Amount("USD", 1200 * len(jobs)))
            for job in jobs:
                evaluate(contract, job)
            state.flush()
        waiting = iter(jobs)
        bare = sqlite3.connect(f"{folder}/raw.sqlite", isolation_level=None)
        bare.execute("PRAGMA journal_mode=WAL")
        bare.execute("PRAGMA synchronous=FULL")
        bare.execute("CREATE TABLE row (number INTEGER)")

        def raw() -> None:
            for number in range(ALONE):
                bare.execute("BEGIN IMMEDIATE")
                bare.execute("INSERT INTO row VALUES (?)", (number,))
                bare.execute("COMMIT")

        def alone() -> None:
            for job in take(ALONE, waiting):
                with engine.begin() as connection:
                    ContractEscrow(connection).settle(EscrowCall("client", f"{job}/settle", 10), job)

        def grouped() -> None:
            for _ in range(GROUPS):
                calls = [(EscrowCall("client", f"{job}/settle", 10), job) for job in take(GROUP, waiting)]
                with engine.begin() as connection:
                    ContractEscrow(connection).settle_all(calls)

        rates = [
            (per_second(ALONE, raw), per_second(ALONE, alone), per_second(GROUPS * GROUP, grouped))
            for _ in range(ROUNDS)
        ]
        with engine.begin() as connection:
            paid = ContractEscrow(connection).account("party:provider", "USD").balance_minor
        assert paid == (1200 + 950) * len(jobs), "some job did not settle exactly once"
        engine.dispose()
        bare.close()
    return report(rates)


def take(count: int, jobs: Iterator[str]) -> Iterator[str]:
    return (next(jobs) for _ in range(count))


def report(rates: list[tuple[float, float, float]]) -> int:
    raw, alone, grouped = (statistics.median(column) for column in zip(*rates, strict=True))
    ratio = statistics.median(one / base for base, one, _ in rates)
    group_ratio = statistics.median(many / base for base, _, many in rates)
    met = ratio >= TARGET_ALONE and group_ratio >= TARGET_GROUP
    print(f"raw commits {raw:.0f}/s, settlements one by one {alone:.0f}/s, in groups of {GROUP} {grouped:.0f}/s")
    print(f"figure: {ratio:.2f} x raw one by one, {group_ratio:.1f} x raw in groups")
    print(f"target: {TARGET_ALONE:.1f} x raw one by one, {TARGET_GROUP:.0f} x raw in groups")
    print("met" if met else "not met")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
