"""The database's history: from nothing, from before there were migrations, and never backwards."""

from __future__ import annotations

import json
from base64 import b64encode
from threading import Thread

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, inspect, make_url, text

from node.core.capabilities import Capabilities, Machine
from node.core.document import from_bytes, to_bytes
from node.core.events import JobEvent
from node.core.job import Deadlines, Job, State
from node.crypto.digest import Digest, canonical_bytes
from node.crypto.merkle import Tree
from node.errors import Unavailable
from node.ports.data_sets import DataSet
from node.ports.leases import Lease
from node.ports.providers import Provider, Record
from node.settlement import schema as money
from node.settlement.escrow import ContractEscrow
from node.storage import schema
from node.storage.database import SqlUnits, open_engine
from node.storage.migrations.versions import v0001_tables_before_migrations as first

DATA, UNUSED = Digest(b"d" * 32), Digest(b"u" * 32)
LEAVES = [b"leaf %d" % number for number in range(2500)]


def test_the_revisions_make_the_tables_that_the_code_describes(engine: Engine) -> None:
    described = [schema.metadata, money.metadata]
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": described})
        assert compare_metadata(context, described) == []


def test_a_database_is_opened_again_as_it_was(database_url: str) -> None:
    for _ in range(2):
        engine = open_engine(database_url)
        units = SqlUnits(engine, ContractEscrow)
        with units() as unit:
            size = unit.log.append(b"leaf")
            unit.commit()
        engine.dispose()
    assert size == 1


def test_many_processes_may_open_a_new_database_at_once(database_url: str) -> None:
    opened: list[Engine] = []
    threads = [Thread(target=lambda: opened.append(open_engine(database_url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for engine in opened:
        engine.dispose()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(engine: Engine, ready_url: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Unavailable, match="newer version of Hallmark: revision 9999") as refusal:
        open_engine(ready_url)
    assert refusal.value.fix


def test_a_database_from_before_migrations_keeps_all_it_holds(database_url: str) -> None:
    url = make_url(database_url)
    old = create_engine(url)
    first.metadata.create_all(old)
    with old.begin() as connection:
        fill(connection)
    old.dispose()

    engine = open_engine(database_url)
    with SqlUnits(engine, ContractEscrow)(read_only=True) as unit:
        assert unit.jobs.page(after="", limit=9) == [
            Job("open", State.TRAINING, "client", "provider", Deadlines(), 10, 99),
            Job("done", State.SETTLED, "other", "provider", Deadlines(), 20, None),
        ]
        assert unit.jobs.parties("open") == {"client", "provider", "arbiter"}
        assert unit.jobs.open_for([DATA], 0) is None
        assert unit.providers.record("provider") == Record(accepted=1, in_hand=1)
        assert unit.data_sets.find("client", DATA) == DataSet("client", DATA, 3, 30, 100, 0, 10)
        assert unit.data_sets.find("other", DATA) == DataSet("other", DATA, 3, 30, 100, 0, 20)
        assert unit.data_sets.find("client", UNUSED) is None
        assert unit.leases.current("open") == Lease("open", 1, "provider", 50)
        assert unit.events.after("open", 0) == [
            JobEvent(1, 5, State.OFFERED, "first"),
            JobEvent(2, 7, State.TRAINING, "second"),
        ]
        assert unit.events.jobs_after(2) == {"open"}
        assert unit.log.size() == len(LEAVES)
        for size in (1, 7, 2048, 2500):
            assert unit.log.root(size) == Tree(LEAVES[:size]).root
        assert unit.escrow.account("party:client", "CREDIT").balance_minor == 7
    with engine.connect() as connection:
        prices = connection.execute(text("SELECT id, price_minor_per_1000_tokens FROM jobs ORDER BY id")).all()
        assert [tuple(row) for row in prices] == [("done", 2500), ("open", 2500)]
        tables = inspect(connection).get_table_names()
        assert "log_leaves" not in tables
        if url.get_backend_name() == "sqlite":
            assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
            assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    engine.dispose()


def test_a_provider_that_never_spoke_of_a_price_works_for_any(engine: Engine, ready_url: str) -> None:
    said = Capabilities((DATA,), Machine(gpu_count=1, gpu_model="Größe 1"))
    before = json.loads(to_bytes(said))
    del before["least_price_minor_per_1000_tokens"]
    row = Provider("barn", "barn", canonical_bytes(before).decode(), 1, 1)
    units = SqlUnits(engine, ContractEscrow)
    with units() as unit:
        unit.providers.register(row)
        unit.commit()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
        connection.execute(text("ALTER TABLE outbox DROP COLUMN failures"))  # later revisions'
        connection.execute(text("DROP TABLE epoch_checkpoints"))
    open_engine(ready_url).dispose()
    with units(read_only=True) as unit:
        found = unit.providers.find("barn")
    assert found is not None
    assert from_bytes(Capabilities, found.capabilities.encode()) == said


def fill(connection: Connection) -> None:
    """Two jobs over one data set, one running and one settled, as the first version kept them."""

    def add(table: str, **values: object) -> None:
        connection.execute(first.metadata.tables[table].insert().values(**values))

    offer = {"arbiter": "arbiter", "money": {"price_minor": 1000}, "training": {"epochs": 4}}
    for digest in (DATA, UNUSED):
        add("data_sets", digest=str(digest), rows=3, size_bytes=30, tokens=100)
    fixed = {"data_set": str(DATA), "base_model": str(DATA), "deadlines": to_bytes(Deadlines()), "provider": "provider"}
    add("jobs", id="open", state="training", client="client", created_at_ms=10, due_at_ms=99, **fixed)
    add("jobs", id="done", state="settled", client="other", created_at_ms=20, due_at_ms=None, **fixed)
    add("leases", job="open", token_digest=str(DATA), provider="provider", until_ms=50)
    add("messages", job="open", sequence=0, envelope=envelope(offer), log_index=0)
    add("messages", job="open", sequence=1, envelope=envelope({"rows": 3}), log_index=1)
    add("messages", job="done", sequence=0, envelope=envelope(offer), log_index=2)
    add("messages", job="done", sequence=1, envelope=envelope({"outcome": "accept"}), log_index=3)
    add("events", job="open", sequence=1, time_ms=5, state="offered", message="first", progress=None)
    add("events", job="done", sequence=1, time_ms=6, state="settled", message="between", progress=None)
    add("events", job="open", sequence=2, time_ms=7, state="training", message="second", progress=None)
    add("escrow_accounts", account="party:client", token="CREDIT", credits_posted=7)
    leaves = [{"index": index, "leaf": leaf} for index, leaf in enumerate(LEAVES)]
    connection.execute(first.metadata.tables["log_leaves"].insert(), leaves)


def envelope(payload: object) -> bytes:
    return json.dumps({"payload": b64encode(json.dumps(payload).encode()).decode()}).encode()
