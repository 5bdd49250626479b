"""One transaction over jobs, messages, log and money: all of it happens, or none; and it survives a new process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.world import JOB, ROWS, World, build, key
from sqlalchemy.exc import SQLAlchemyError

from node.core.events import JobEvent, Progress
from node.core.job import State
from node.core.messages import Link, seal
from node.crypto.digest import digest
from node.crypto.merkle import Tree
from node.errors import Conflict, InvalidInput, NotFound, PermissionRefused, Unavailable
from node.ports.escrow import EscrowCall
from node.ports.unit_of_work import DataSet, Lease
from node.storage.database import open_engine
from node.workflow import queries

OTHER = digest("test", b"other")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    built = build(tmp_path)
    yield built
    built.database.dispose()


def test_what_was_not_committed_never_was(world: World) -> None:
    offer = world.offer()
    before = world.dump()
    with world.node.units() as unit:
        unit.data_sets.add(DataSet(OTHER, 1, 2, 3))
        unit.log.append(b"leaf")
        unit.escrow.deposit(EscrowCall("somebody", "once", 0), "CREDIT", 5)
    assert world.dump() == before
    with contextlib.suppress(RuntimeError), world.node.units() as unit:
        unit.log.append(b"leaf")
        raise RuntimeError("crash")
    assert world.dump() == before
    world.create(offer)
    assert world.dump() != before


def test_everything_that_was_committed_is_there_for_another_process(world: World, tmp_path: Path) -> None:
    world.advance_to(State.SETTLED)
    dumped = world.dump()
    again = build(tmp_path)  # its deposits are the same requests, so they change nothing
    assert again.dump() == dumped
    assert again.chain() == world.chain()
    assert queries.receipt(again.node, JOB) == queries.receipt(world.node, JOB)
    again.database.dispose()


def test_a_job_is_saved_over_the_state_that_was_read_and_no_other(world: World) -> None:
    job = world.create()
    with world.node.units() as unit:
        unit.jobs.save(job, replace(job, state=State.CANCELLED, due_at_ms=None))
        unit.commit()
    with world.node.units() as unit, pytest.raises(Conflict, match="no longer offered"):
        unit.jobs.save(job, replace(job, state=State.COMMITTED))
    assert world.job().state is State.CANCELLED


def test_a_job_is_read_as_it_was_written(world: World) -> None:
    job = world.create()
    assert world.job() == job
    with world.node.units() as unit:
        changed = replace(job, state=State.AGREED, provider="provider", due_at_ms=None)
        unit.jobs.save(job, changed)
        assert unit.jobs.get(JOB) == changed
        assert unit.jobs.find("nothing") is None
        with pytest.raises(NotFound):
            unit.jobs.get("nothing")


def test_a_job_id_is_taken_once(world: World) -> None:
    job = world.create()
    stored = world.chain().offer.dataset
    with world.node.units() as unit, pytest.raises(SQLAlchemyError):
        unit.jobs.add(job, data_set=stored, base_model=OTHER)


def test_leases_are_replaced_and_an_old_token_is_refused(world: World) -> None:
    world.create()
    first, second = digest("test", b"1"), digest("test", b"2")
    with world.node.units() as unit:
        unit.leases.put(Lease(first, JOB, "a", 10))
        assert unit.leases.get(first) == Lease(first, JOB, "a", 10)
        unit.leases.put(Lease(second, JOB, "b", 20))
        assert unit.leases.get(second).provider == "b"
        with pytest.raises(PermissionRefused):
            unit.leases.get(first)


def test_the_log_grows_in_order_over_all_jobs(world: World) -> None:
    with world.node.units() as unit:
        assert unit.log.tree().size == 0
        assert [unit.log.append(bytes([leaf])) for leaf in range(5)] == [0, 1, 2, 3, 4]
        assert unit.log.tree().root == Tree(bytes([leaf]) for leaf in range(5)).root


def test_messages_stand_in_their_order_with_their_places_in_the_log(world: World) -> None:
    world.create()
    envelopes = [seal(replace(world.offer(), link=Link("x", at, None)), key("client")) for at in range(3)]
    with world.node.units() as unit:
        for at, envelope in enumerate(envelopes):
            unit.messages.append(JOB, envelope, 10 + at)
        assert unit.messages.chain(JOB)[1:] == envelopes
        assert unit.messages.log_indices(JOB) == [0, 10, 11, 12]
        assert unit.messages.chain("nothing") == []


def test_events_are_numbered_within_their_job(world: World) -> None:
    world.create()
    world.create(world.offer(ROWS[1:], job_id="job-2"))
    progress = Progress(1, 2, 0.5, float("inf"), 3.0)
    with world.node.units() as unit:
        unit.events.append(JOB, JobEvent(0, 5, State.TRAINING, "told", progress))
        unit.events.append("job-2", JobEvent(0, 6, State.TRAINING, "told"))
        assert unit.events.after(JOB, 1) == [JobEvent(2, 5, State.TRAINING, "told", progress)]
        assert [event.sequence for event in unit.events.after("job-2", 0)] == [1, 2]
        assert unit.events.after(JOB, 2) == []


def test_data_sets_and_files_are_found_by_name(world: World) -> None:
    world.create()
    data_set = DataSet(OTHER, 1, 2**40, 3)
    with world.node.units() as unit:
        unit.data_sets.add(data_set)
        unit.data_sets.add(data_set)
        assert unit.data_sets.find(OTHER) == data_set
        assert unit.data_sets.find(digest("test", b"none")) is None
        unit.files.put(JOB, "a", OTHER)
        assert unit.files.all(JOB) == {"a": OTHER}


def test_two_writers_take_turns(world: World) -> None:
    """No writer meets a stale snapshot: what one read cannot change before it has written."""

    def count_up() -> None:
        for _ in range(20):
            with world.node.units() as unit:
                unit.log.append(b"leaf")
                unit.commit()

    threads = [threading.Thread(target=count_up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with world.node.units() as unit:
        assert unit.log.tree().size == 40


@pytest.mark.parametrize("url", ["", "nothing", "nothing://", "mysql+nothing://host/db"])
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        open_engine(url)
    assert refusal.value.facts["field"] == "database"


def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_bytes(b"no database, whatever its name says" * 100)
    for path in (tmp_path / "missing" / "a.sqlite", tmp_path / "text.sqlite"):
        with pytest.raises(Unavailable, match="cannot be opened"):
            open_engine(f"sqlite:///{path}")
