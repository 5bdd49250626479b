"""Listings among many jobs: the right ones, in order, by index alone; so they cost the same however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from fakes.heard_statements import heard
from sqlalchemy import Connection, Engine, text

from node.core.activation import Activation
from node.core.events import JobEvent
from node.core.job import Deadlines, Job, State
from node.core.verdict import Outcome
from node.crypto.digest import digest
from node.crypto.signing import Envelope
from node.errors import InvalidInput
from node.ports.data_sets import DataSet
from node.ports.epoch_checkpoints import EpochCheckpoint
from node.ports.jobs import JobFilter
from node.ports.providers import Provider, Record
from node.ports.unit_of_work import UnitOfWork
from node.ports.uploads import Upload
from node.settlement.escrow import ContractEscrow
from node.storage.database import SqlUnits

DATA = digest("test", b"data")
STATES = (State.COMMITTED, State.TRAINING, State.SETTLED, State.FORFEITED)
JOBS = [
    Job(
        id=f"job-{number}",
        state=STATES[number % 4],
        client=f"client-{number % 3}",
        provider=f"provider-{number % 2}" if number % 4 else None,
        deadlines=Deadlines(),
        created_at_ms=number,
        due_at_ms=1000 - number if number % 4 < 2 else None,
    )
    for number in range(120)
]
ARBITER = {job.id: f"arbiter-{number % 5}" if number % 7 else None for number, job in enumerate(JOBS)}


@pytest.fixture
def units(engine: Engine) -> SqlUnits:
    begun = SqlUnits(engine, ContractEscrow)
    with begun() as unit:
        for number in range(3):
            unit.data_sets.add(DataSet(f"client-{number}", DATA, 1, 1, 1, 1, 1))
        for job in JOBS:
            unit.jobs.add(job, data_set=DATA, base_model=DATA, arbiter=ARBITER[job.id], price_minor_per_1000_tokens=1)
            if job.state is State.SETTLED:
                unit.jobs.record_outcome(job.id, Outcome.ACCEPT)
        unit.commit()
    return begun


@pytest.fixture
def unit(units: SqlUnits) -> Iterator[UnitOfWork]:
    with units() as begun:
        yield begun


PARTIES: list[tuple[JobFilter, Callable[[Job], bool]]] = [
    (JobFilter(), lambda job: True),
    (JobFilter(client="client-1"), lambda job: job.client == "client-1"),
    (JobFilter(provider="provider-1"), lambda job: job.provider == "provider-1"),
    (JobFilter(arbiter="arbiter-2"), lambda job: ARBITER[job.id] == "arbiter-2"),
    (JobFilter(client="nobody"), lambda job: False),
]
CHOICES: list[tuple[State, ...]] = [(), (State.SETTLED,), (State.SETTLED, State.COMMITTED), (State.OFFERED,)]


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_listing_shows_one_partys_jobs_in_the_states_asked_for_a_page_at_a_time(
    unit: UnitOfWork, newest_first: bool
) -> None:
    for (party, belongs), states in product(PARTIES, CHOICES):
        wanted = replace(party, states=states, newest_first=newest_first)
        expected = [job for job in JOBS if belongs(job) and (not states or job.state in states)]
        expected = expected[::-1] if newest_first else expected
        listed: list[Job] = []
        while page := unit.jobs.page(wanted, after=listed[-1].id if listed else "", limit=7):
            listed += page
        assert listed == expected


def test_a_listing_goes_on_after_a_job_that_left_its_states_meanwhile(unit: UnitOfWork) -> None:
    training = JobFilter(states=(State.TRAINING,))
    first, second, third = unit.jobs.page(training, after="", limit=3)
    unit.jobs.save(second, replace(second, state=State.ABORTED, due_at_ms=None))
    assert unit.jobs.page(training, after=second.id, limit=1) == [third]
    assert unit.jobs.page(training, after=first.id, limit=1) == [third]


def test_a_listing_does_not_tell_of_others_jobs(unit: UnitOfWork) -> None:
    for foreign in ("job-0", "nothing"):
        with pytest.raises(InvalidInput) as refusal:
            unit.jobs.page(JobFilter(client="client-1"), after=foreign, limit=1)
        assert refusal.value.facts["field"] == "page_token"


def test_the_most_overdue_jobs_come_first(unit: UnitOfWork) -> None:
    expected = sorted((job for job in JOBS if job.due_at_ms and job.due_at_ms <= 950), key=lambda job: job.due_at_ms)
    assert unit.jobs.overdue(950) == expected


def test_a_providers_record_counts_how_its_jobs_ended(unit: UnitOfWork) -> None:
    assert unit.providers.record("provider-0") == Record(accepted=30)
    assert unit.providers.record("provider-1") == Record(forfeited=30, in_hand=30)
    first, second = unit.jobs.page(JobFilter(provider="provider-0"), after="", limit=2)
    unit.jobs.record_outcome(first.id, Outcome.REJECT)
    unit.jobs.record_outcome(second.id, Outcome.INCONCLUSIVE)
    assert unit.providers.record("provider-0") == Record(accepted=28, rejected=1, inconclusive=1)


ENVELOPE = Envelope("text/plain", b"{}", "signer", b"s" * 64)
JOB = JOBS[0].id
CALLS: dict[str, Callable[[UnitOfWork], object]] = {
    "find": lambda unit: unit.jobs.get(JOB),
    "parties": lambda unit: unit.jobs.parties(JOB),
    "save": lambda unit: unit.jobs.save(JOBS[0], replace(JOBS[0], due_at_ms=5)),
    "outcome": lambda unit: unit.jobs.record_outcome(JOB, Outcome.ACCEPT),
    "in states": lambda unit: unit.jobs.in_states([State.TRAINING, State.COMMITTED]),
    "unfinished": lambda unit: unit.jobs.unfinished_of("client-2"),
    "locked": lambda unit: unit.escrow.locked("a", "CREDIT", [JOB, "job-2"]),
    "overdue": lambda unit: unit.jobs.overdue(5),
    "open": lambda unit: unit.jobs.open_for([DATA], 5, declined=["x"], least_price_minor_per_1000_tokens=1),
    "used before": lambda unit: unit.jobs.used_before(DATA, other_than=JOB),
    "grant": lambda unit: unit.leases.extend(unit.leases.grant(JOB, "p", 5), 6),
    "stale lease": lambda unit: unit.leases.find(JOB, 1),
    "held": lambda unit: unit.leases.held_by("p", 5),
    "claim": lambda unit: unit.claims.claim(JOB, "w", 5, 6),
    "message": lambda unit: unit.messages.append(JOB, ENVELOPE, 1),
    "chain": lambda unit: (unit.messages.chain(JOB), unit.messages.log_indices(JOB), unit.messages.find(JOB, 0)),
    "event": lambda unit: unit.events.append(JOB, JobEvent(0, 1, State.OFFERED, "told")),
    "watch": lambda unit: (unit.events.after(JOB, 3), unit.events.last_progress(JOB)),
    "watch all": lambda unit: (unit.events.last_number(), unit.events.jobs_after(3)),
    "log": lambda unit: (unit.log.append(b"a"), unit.log.append(b"b"), unit.log.inclusion(0, 2)),
    "record": lambda unit: unit.providers.record("p"),
    "seen": lambda unit: unit.providers.seen("p", 1),
    "register": lambda unit: unit.providers.register(Provider("p", "", "", 1, 1)),
    "data sets": lambda unit: unit.data_sets.page("client-1", after=str(DATA), limit=5),
    "data set": lambda unit: (unit.data_sets.find("client-1", DATA), unit.data_sets.in_use("client-1", DATA)),
    "blob": lambda unit: unit.files.in_use(digest("test", b"unused")),
    "files": lambda unit: (unit.files.all(JOB), unit.files.remove(JOB, "a")),
    "nonce": lambda unit: (unit.nonces.use("a", "n", 5), unit.nonces.forget(5)),
    "outbox": lambda unit: unit.outbox.due("try", 5),
    "epochs": lambda unit: (
        unit.epoch_checkpoints.add(JOB, EpochCheckpoint(1, DATA, 9)),
        unit.epoch_checkpoints.of_job(JOB),
    ),
    "epoch": lambda unit: unit.epoch_checkpoints.record_activation(JOB, 1, Activation((1,), (0,), 1, -5)),
    "uploads": lambda unit: (unit.uploads.expired(5, 5), unit.uploads.bytes_of("a")),
    "money": lambda unit: (unit.escrow.account("party:a", "CREDIT"), unit.escrow.job(JOB), unit.escrow.history(JOB)),
    "transfers": lambda unit: unit.escrow.newest_transfers("party:a", before=5, limit=5),
    "upload": lambda unit: (unit.uploads.add(Upload("a", DATA, 1, 1)), unit.uploads.find("a", DATA)),
}
PAGES = [
    (replace(party, states=states, newest_first=newest_first), after)
    for party in (
        JobFilter(),
        JobFilter(client="client-2"),
        JobFilter(provider="provider-0"),
        JobFilter(arbiter="arbiter-3"),
    )
    for states in ((), (State.SETTLED, State.COMMITTED))
    for newest_first in (False, True)
    for after in ("", "job-38")
]
FREE = {
    "in states": "what it sorts is what it returns",
    "locked": "it sorts what one party has put into the jobs that were asked for",
    "money": "it sorts the few transactions of one job",
    "record": "it sorts no more rows than it counts: one for each way to end",
}


def test_no_call_scans_a_table_that_grows_or_sorts_more_than_it_returns(engine: Engine, units: SqlUnits) -> None:
    found = {name: offences(engine, units, call) for name, call in CALLS.items()}
    for wanted, after in PAGES:
        found[f"{wanted} {after}"] = offences(
            engine, units, lambda unit, w=wanted, a=after: unit.jobs.page(w, after=a, limit=5)
        )
    assert {name: steps for name, steps in found.items() if steps and name not in FREE} == {}


def offences(engine: Engine, units: SqlUnits, call: Callable[[UnitOfWork], object]) -> list[str]:
    """The steps of this call's queries, as the database plans them, that read or sort a whole table."""
    with units() as unit:
        connection = unit.jobs._connection
        if engine.dialect.name == "postgresql":  # which rightly scans tables of a few rows, if it may
            for way in ("seqscan", "bitmapscan"):
                connection.execute(text(f"SET LOCAL enable_{way} = off"))
        with heard(connection) as statements:
            call(unit)
        steps = [step for statement in statements for step in planned(connection, *statement)]
    return [
        step
        for step in steps
        if "Seq Scan" in step
        or "Sort" in step
        or "TEMP B-TREE" in step
        or (step.startswith("SCAN") and "CONSTANT ROW" not in step)
    ]


def planned(connection: Connection, statement: str, parameters: Any) -> list[str]:
    """The steps of a statement; without the walk over all jobs until its limit."""
    asking = connection.connection.cursor()
    if connection.dialect.name == "postgresql":
        asking.execute(f"EXPLAIN {statement}", parameters)
        return [row[0] for row in asking.fetchall()]
    asking.execute(f"EXPLAIN QUERY PLAN {statement}")
    all_jobs = "WHERE 1 = 1 ORDER BY jobs.number" in " ".join(statement.split())
    return [row[3] for row in asking.fetchall() if not (all_jobs and row[3] == "SCAN jobs")]
