"""The engine's own promises: durable commits, writers that take turns, readers that wait for nobody, clear refusals."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from node.errors import InvalidInput, NotInstalled, Unavailable
from node.settlement.escrow import ContractEscrow
from node.storage import database
from node.storage.database import SqlUnits, engine_at, open_engine

END_OTHERS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def units(engine: Engine) -> SqlUnits:
    return SqlUnits(engine, ContractEscrow)


def test_sqlite_writes_every_commit_to_the_disk(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'node.sqlite'}")
    with engine.begin() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2}
    engine.dispose()


def test_postgresql_writes_every_commit_to_the_disk_whatever_its_configuration_says(postgres_url: str) -> None:
    lax = open_engine(f"{postgres_url}&options=-csynchronous_commit%3Doff")
    with lax.connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
    lax.dispose()


def test_a_postgresql_url_needs_no_driver_named(postgres_url: str) -> None:
    for scheme in ("postgresql", "postgres"):
        engine = open_engine(postgres_url.replace("postgresql+psycopg", scheme))
        assert engine.driver == "psycopg"
        engine.dispose()


@pytest.mark.parametrize("url", ["", "nothing", "nothing://", "mysql://host/db", "mysql+nothing://host/db"])
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        open_engine(url)
    assert refusal.value.facts["field"] == "database"


def test_a_missing_driver_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(NotInstalled, match="psycopg") as refusal:
        engine_at("postgresql://user@host/database")
    assert refusal.value.fix


def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_bytes(b"no database, whatever its name says" * 100)
    absent = f"postgresql://hallmark@/postgres?host={tmp_path}"
    for url in (f"sqlite:///{tmp_path}/missing/a.sqlite", f"sqlite:///{tmp_path}/text.sqlite", absent):
        with pytest.raises(Unavailable, match="cannot be opened"):
            open_engine(url)


def test_two_writers_take_turns(units: SqlUnits) -> None:
    """No writer meets a stale snapshot: what one read cannot change before it has written."""

    def count_up() -> None:
        for _ in range(20):
            with units() as unit:
                unit.log.append(b"leaf")
                unit.commit()

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with units(read_only=True) as unit:
        assert unit.log.size() == 80


def test_a_reader_waits_for_no_writer_and_sees_one_moment(units: SqlUnits) -> None:
    with units() as writer:
        writer.log.append(b"leaf")
        with units(read_only=True) as reader:
            assert reader.log.size() == 0
            writer.commit()
            assert reader.log.size() == 0
    with units(read_only=True) as reader:
        assert reader.log.size() == 1


def test_a_writer_waits_for_no_reader(units: SqlUnits) -> None:
    with units(read_only=True) as reader:
        assert reader.log.size() == 0
        with units() as writer:
            writer.log.append(b"leaf")
            writer.commit()


def test_a_reader_cannot_write(units: SqlUnits) -> None:
    with pytest.raises(Unavailable), units(read_only=True) as unit:
        unit.log.append(b"leaf")
    with units() as unit:  # the same connection again
        unit.log.append(b"leaf")
        unit.commit()


def test_whoever_waits_too_long_for_another_process_is_told_so_and_may_come_again(
    engine: Engine, units: SqlUnits, impatient: None
) -> None:
    another_process = SqlUnits(engine, ContractEscrow)
    with another_process(), pytest.raises(Unavailable, match="busy"), units():
        pass
    assert engine.pool.checkedout() == 0
    for _ in range(2):
        with units() as unit:
            unit.commit()


def test_whoever_waits_too_long_within_its_process_is_told_so(units: SqlUnits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    with units(), pytest.raises(Unavailable, match="busy"), units():
        pass
    with units() as unit:
        unit.commit()


@pytest.fixture
def impatient(engine: Engine) -> Iterator[None]:
    """New connections of this engine wait for nobody."""
    statement = "PRAGMA busy_timeout=1" if engine.dialect.name == "sqlite" else "SET lock_timeout = '1ms'"

    def hurry(connection: object, _record: object) -> None:
        connection.execute(statement)
        connection.commit()

    event.listen(engine, "connect", hurry)
    engine.dispose()
    yield
    event.remove(engine, "connect", hurry)


@pytest.mark.parametrize("ready_url", ["postgresql"], indirect=True)  # SQLite holds anything
def test_what_a_database_cannot_hold_is_the_callers_mistake(units: SqlUnits) -> None:
    too_long, with_nul = "x" * 100, "\0"
    for kind in (too_long, with_nul):
        with pytest.raises(InvalidInput, match="be kept"), units() as unit:
            unit.outbox.put(kind, "", 0)
    with pytest.raises(InvalidInput, match="be kept"), units(read_only=True) as unit:
        unit.escrow.account("party", with_nul)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_number_that_no_database_can_hold_is_the_callers_mistake(units: SqlUnits, number: int) -> None:
    with pytest.raises(InvalidInput, match="be kept"), units(read_only=True) as unit:
        unit.events.after("job", number)
    with pytest.raises(InvalidInput, match="be kept"), units(read_only=True) as unit:
        unit.escrow.newest_transfers("party:me", before=number, limit=5)


@pytest.mark.parametrize("ready_url", ["postgresql"], indirect=True)  # a file does not go away
def test_a_database_that_goes_away_under_a_transaction_is_unavailable_and_may_come_back(
    engine: Engine, units: SqlUnits
) -> None:
    def work_on_a_connection_that_ends() -> None:
        with units() as unit:
            with engine.execution_options(read_only=True).connect() as other:
                other.execute(END_OTHERS)
            unit.log.append(b"leaf")

    with pytest.raises(Unavailable) as refusal:
        work_on_a_connection_that_ends()
    assert refusal.value.fix
    assert "socket" not in str(refusal.value)
    with units() as unit:
        assert unit.log.size() == 0
