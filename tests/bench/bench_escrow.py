"""Settlements per second, durable, beside the same disk's raw commit rate: `python tests/bench/bench_escrow.py`.

Raw is one row in one commit through the bare driver, in SQLite with the node's own settings (WAL, synchronous FULL).
The floor is what no escrow can beat: the rows that the settlements have just written, written once more into a copy of
the database, by the bare driver, in equal transactions, with nothing read, computed or checked.
Rounds alternate between all of these, so that they meet the same disk; each figure is a median over rounds.
`QUICK=1` makes fewer rounds. Exit status 1 if the target is missed.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine

from contracts_sim import Amount, Call, Contract, Terms
from node.ports.escrow import EscrowCall
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
SETTLED = (
    (
        "SELECT * FROM escrow_transactions WHERE job_id = ? AND function = 'settle'",
        "INSERT INTO escrow_transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    ),
    (
        "SELECT * FROM escrow_transfers WHERE job_id = ? AND time_ms = 10",
        "INSERT INTO escrow_transfers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    ),
    (
        "SELECT debits_posted, credits_posted, account FROM escrow_accounts"
        " WHERE account IN ('escrow:' || ?, 'party:provider', 'party:evaluator')",
        "UPDATE escrow_accounts SET debits_posted = ?, credits_posted = ? WHERE account = ? AND token = 'USD'",
    ),
    (
        "SELECT state, since_ms, deadline_ms, ending, id FROM escrow_jobs WHERE id = ?",
        "UPDATE escrow_jobs SET state = ?, since_ms = ?, deadline_ms = ?, ending = ? WHERE id = ?",
    ),
)
"""(what a settlement has changed, the same change again)"""


class Rates(NamedTuple):
    """One round, each per second: raw commits, and settlements by the escrow and by the bare driver."""

    raw: float
    alone: float
    grouped: float
    floor_alone: float
    floor_grouped: float


def evaluate(contract: Contract, job: str) -> None:
    """Takes a new job to where only the clock is missing. No two jobs have the same terms."""
    terms = replace(TERMS, terms_digest=f"terms of {job}")
    contract.place_hold(Call("client", f"{job}/hold", 0), job, Amount("USD", 1000), expires_at=1)
    contract.create_job(Call("client", f"{job}/create", 0), job, terms, signed_by=SIGNERS)
    contract.fund(Call("client", f"{job}/fund", 0), job, expected_terms=terms.terms_digest)
    contract.receive_data(Call("provider", f"{job}/receive", 0), job, receipt="receipt")
    contract.submit(Call("provider", f"{job}/submit", 0), job, deliverable="adapter")
    contract.acknowledge_upload(Call("evaluator", f"{job}/upload", 0), job)
    contract.reveal(Call("evaluator", f"{job}/reveal", 0), job, manifest="manifest")
    contract.complete(Call("evaluator", f"{job}/complete", 0), job, reason="evidence")


def evaluate_all(engine: Engine, jobs: list[str]) -> None:
    """Funds the parties and evaluates every job."""
    with engine.begin() as connection:
        state = SqlState(connection)
        contract = Contract(state)
        for party in sorted(SIGNERS):
            contract.deposit(Call(party, "deposit", 0), Amount("USD", 1200 * len(jobs)))
        for job in jobs:
            evaluate(contract, job)
        state.flush()


def bare(path: str) -> sqlite3.Connection:
    """The driver alone, as durable as the node."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def per_second(times: int, work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return times / (time.perf_counter() - start)


def commit_raw(raw: sqlite3.Connection, times: int) -> None:
    for number in range(times):
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("INSERT INTO row VALUES (?)", (number,))
        raw.execute("COMMIT")


def settle(engine: Engine, groups: list[list[str]]) -> None:
    for jobs in groups:
        calls = [(EscrowCall("client", f"{job}/settle", 10), job) for job in jobs]
        with engine.begin() as connection:
            if len(calls) == 1:
                ContractEscrow(connection).settle(*calls[0])
            else:
                ContractEscrow(connection).settle_all(calls)


def write_again(settled: sqlite3.Connection, copy: sqlite3.Connection, groups: list[list[str]]) -> float:
    """Seconds that the copy takes for the rows of these settlements, one transaction a group."""
    seconds = 0.0
    for jobs in groups:
        changes = [
            (write, list(dict.fromkeys(row for job in jobs for row in settled.execute(read, (job,)))))
            for read, write in SETTLED
        ]
        start = time.perf_counter()
        copy.execute("BEGIN IMMEDIATE")
        for write, rows in changes:
            copy.executemany(write, rows)
        copy.execute("COMMIT")
        seconds += time.perf_counter() - start
    return seconds


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bench-escrow-", dir=Path.cwd()) as folder:
        engine = open_engine(f"sqlite:///{folder}/escrow.sqlite")
        jobs = [f"job-{number}" for number in range(ROUNDS * (ALONE + GROUP * GROUPS))]
        evaluate_all(engine, jobs)
        raw, settled, copy = (bare(f"{folder}/{name}.sqlite") for name in ("raw", "escrow", "copy"))
        raw.execute("CREATE TABLE row (number INTEGER)")
        settled.backup(copy)
        waiting = iter(jobs)

        def one_round() -> Rates:
            singles = [[job] for job in islice(waiting, ALONE)]
            groups = [list(islice(waiting, GROUP)) for _ in range(GROUPS)]
            return Rates(
                raw=per_second(ALONE, lambda: commit_raw(raw, ALONE)),
                alone=per_second(ALONE, lambda: settle(engine, singles)),
                grouped=per_second(GROUPS * GROUP, lambda: settle(engine, groups)),
                floor_alone=ALONE / write_again(settled, copy, singles),
                floor_grouped=GROUPS * GROUP / write_again(settled, copy, groups),
            )

        rates = [one_round() for _ in range(ROUNDS)]
        with engine.begin() as connection:
            paid = ContractEscrow(connection).account("party:provider", "USD").balance_minor
        assert paid == (1200 + 950) * len(jobs), "some job did not settle exactly once"
        ledgers = [each.execute("SELECT * FROM escrow_transfers").fetchall() for each in (settled, copy)]
        assert ledgers[0] == ledgers[1], "the floor wrote other rows"
        engine.dispose()
        for connection in (raw, settled, copy):
            connection.close()
    return report(rates)


def report(rates: list[Rates]) -> int:
    typical = Rates(*(statistics.median(column) for column in zip(*rates, strict=True)))
    times_raw = Rates(
        *(
            statistics.median(rate / each.raw for each, rate in zip(rates, column, strict=True))
            for column in zip(*rates, strict=True)
        )
    )
    met = times_raw.alone >= TARGET_ALONE and times_raw.grouped >= TARGET_GROUP
    print(f"raw commits {typical.raw:.0f}/s")
    print(f"settlements one by one {typical.alone:.0f}/s, in groups of {GROUP} {typical.grouped:.0f}/s")
    print(f"the bare driver, same rows {typical.floor_alone:.0f}/s, in groups of {GROUP} {typical.floor_grouped:.0f}/s")
    print(f"floor: {times_raw.floor_alone:.2f} x raw one by one, {times_raw.floor_grouped:.1f} x raw in groups")
    print(f"figure: {times_raw.alone:.2f} x raw one by one, {times_raw.grouped:.1f} x raw in groups")
    print(f"target: {TARGET_ALONE:.1f} x raw one by one, {TARGET_GROUP:.0f} x raw in groups")
    print("met" if met else "not met")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
