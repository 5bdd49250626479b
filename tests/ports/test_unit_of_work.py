"""One transaction over jobs, messages, log and money: all of it happens, or none; and it survives a new process."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.world import JOB, ROWS, World, build, key

from node.core.activation import Activation
from node.core.events import JobEvent, Progress
from node.core.job import State
from node.core.messages import Link, seal
from node.crypto.digest import Digest, digest
from node.errors import Conflict, InvalidInput, NotFound
from node.ports.data_sets import DataSet
from node.ports.epoch_checkpoints import EpochCheckpoint
from node.ports.escrow import EscrowCall
from node.ports.uploads import Upload
from node.workflow import queries

OTHER = digest("test", b"other")


@pytest.fixture
def world(tmp_path: Path, ready_url: str) -> Iterator[World]:
    built = build(tmp_path, database_url=ready_url)
    yield built
    built.database.dispose()


def test_what_was_not_committed_never_was(world: World) -> None:
    offer = world.offer()
    before = world.dump()
    with world.node.units() as unit:
        unit.data_sets.add(data_set("somebody", OTHER))
        unit.log.append(b"leaf")
        unit.escrow.deposit(EscrowCall("somebody", "once", 0), "CREDIT", 5)
    assert world.dump() == before
    with contextlib.suppress(RuntimeError), world.node.units() as unit:
        unit.log.append(b"leaf")
        raise RuntimeError("crash")
    assert world.dump() == before
    world.create(offer)
    assert world.dump() != before


def test_what_was_committed_is_there_for_another_process(world: World, tmp_path: Path, ready_url: str) -> None:
    world.advance_to(State.SETTLED)
    dumped = world.dump()
    again = build(tmp_path, database_url=ready_url)  # its deposits are the same requests, so they change nothing
    assert again.dump() == dumped
    assert again.chain() == world.chain()
    assert queries.receipt(again.node, None, JOB) == queries.receipt(world.node, None, JOB)
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
    with world.node.units() as unit, pytest.raises(Exception, match=r"(?i)unique"):  # the drivers have no common error
        unit.jobs.add(job, data_set=stored, base_model=OTHER, arbiter=None, price_minor_per_1000_tokens=1)


def test_messages_stand_in_their_order_with_their_places_in_the_log(world: World) -> None:
    world.create()
    envelopes = [seal(replace(world.offer(), link=Link("x", at, None)), key("client")) for at in range(3)]
    with world.node.units() as unit:
        for at, envelope in enumerate(envelopes):
            unit.messages.append(JOB, envelope, 10 + at)
        assert unit.messages.chain(JOB)[1:] == envelopes
        assert unit.messages.log_indices(JOB) == [0, 10, 11, 12]
        assert unit.messages.chain("nothing") == []


def test_a_checkpoint_is_kept_once_for_each_epoch_and_then_what_it_showed(world: World) -> None:
    world.create()
    world.create(world.offer(ROWS[1:], job_id="job-2"))
    second, tenth = EpochCheckpoint(2, OTHER, 2**40), EpochCheckpoint(10, OTHER, 7)
    with world.node.units() as unit:
        for each in (tenth, second):
            unit.epoch_checkpoints.add(JOB, each)
        unit.epoch_checkpoints.add("job-2", second)
        unit.commit()
    shown = Activation((6, 0), (0, 1), 1, -9_500_000)
    with world.node.units() as unit:
        unit.epoch_checkpoints.record_activation(JOB, 2, shown)
        assert unit.epoch_checkpoints.of_job(JOB) == [replace(second, activation=shown), tenth]
        assert unit.epoch_checkpoints.find(JOB, 10) == tenth
        assert unit.epoch_checkpoints.find(JOB, 1) is None
        assert unit.epoch_checkpoints.of_job("job-2") == [second]
    with world.node.units() as unit, pytest.raises(Exception, match=r"(?i)unique"):
        unit.epoch_checkpoints.add(JOB, EpochCheckpoint(2, OTHER, 1))


def test_events_are_numbered_within_their_job(world: World) -> None:
    world.create()
    world.create(world.offer(ROWS[1:], job_id="job-2"))
    progress = Progress(1, 2, 0.5, float("inf"), 3.0)
    with world.node.units() as unit:
        unit.events.append(JOB, JobEvent(0, 5, State.TRAINING, "told", progress))
        unit.events.append("job-2", JobEvent(0, 6, State.TRAINING, "told"))
        assert unit.events.after(JOB, 1) == [JobEvent(2, 5, State.TRAINING, "told", progress)]
        assert unit.events.last_progress(JOB) == JobEvent(2, 5, State.TRAINING, "told", progress)
        assert unit.events.last_progress("job-2") is None
        assert [event.sequence for event in unit.events.after("job-2", 0)] == [1, 2]
        assert unit.events.after(JOB, 2) == []


def test_what_happened_to_a_job_is_logged_once_it_is_committed_but_for_training_metrics(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.create()
    job = world.job()
    caplog.set_level(logging.INFO, "node.storage")
    caplog.clear()
    with world.node.units() as unit:
        unit.events.append(job.id, JobEvent(0, 1, job.state, "Told."))
        unit.events.append(job.id, JobEvent(0, 1, job.state, "Step 1.", Progress(1, 2, 0.5, 1.0, 9.0)))
        assert not caplog.messages
        unit.commit()
    with world.node.units() as unit:
        unit.events.append(job.id, JobEvent(0, 1, job.state, "Never was."))
    assert caplog.messages == ["job job-1 is offered: Told."]


def test_events_of_all_jobs_are_numbered_in_the_order_of_their_commits(world: World) -> None:
    world.create()
    world.create(world.offer(ROWS[1:], job_id="job-2"))
    with world.node.units() as unit:
        assert unit.events.last_number() == 2
        assert unit.events.jobs_after(0) == {JOB, "job-2"}
        assert unit.events.jobs_after(1) == {"job-2"}
        assert unit.events.jobs_after(2) == frozenset()


def test_one_message_is_found_by_its_number(world: World) -> None:
    world.create()
    with world.node.units(read_only=True) as unit:
        assert unit.messages.find(JOB, 0) == world.chain().envelopes[0]
        assert unit.messages.find(JOB, 1) is None
        assert unit.messages.find("nothing", 0) is None


def test_a_data_set_is_its_owners_alone_whoever_else_sent_the_same_bytes(world: World) -> None:
    mine, theirs = data_set("me", OTHER), data_set("them", OTHER, created_at_ms=9)
    with world.node.units() as unit:
        for _ in range(2):
            unit.data_sets.add(mine)
        assert unit.data_sets.find("them", OTHER) is None
        unit.data_sets.add(theirs)
        assert unit.data_sets.find("me", OTHER) == mine
        assert unit.data_sets.find("them", OTHER) == theirs
        for _ in range(2):
            unit.data_sets.remove("me", OTHER)
        assert unit.data_sets.find("me", OTHER) is None
        assert unit.data_sets.find("them", OTHER) == theirs


def test_a_data_set_is_in_use_once_its_owner_made_a_job_of_it(world: World) -> None:
    offer = world.offer()
    client = world.client.public.key_id
    with world.node.units() as unit:
        assert not unit.data_sets.in_use(client, offer.dataset)
    world.create(offer)
    with world.node.units() as unit:
        assert unit.data_sets.in_use(client, offer.dataset)
        assert not unit.data_sets.in_use("them", offer.dataset)


def test_data_sets_are_listed_newest_first_and_a_page_at_a_time(world: World) -> None:
    digests = sorted((digest("test", bytes([at])) for at in range(5)), key=str)
    times = [3, 1, 2, 2, 1]
    with world.node.units() as unit:
        for each, time_ms in zip(digests, times, strict=True):
            unit.data_sets.add(data_set("me", each, created_at_ms=time_ms))
        unit.data_sets.add(data_set("them", OTHER))
        expected = [digests[at] for at in (0, 3, 2, 4, 1)]
        assert [each.digest for each in unit.data_sets.page("me", after="", limit=9)] == expected
        for start in range(5):
            page = unit.data_sets.page("me", after=str(expected[start]), limit=2)
            assert [each.digest for each in page] == expected[start + 1 : start + 3]
        with pytest.raises(InvalidInput) as refusal:
            unit.data_sets.page("me", after=str(OTHER), limit=2)
        assert refusal.value.facts["field"] == "page_token"


def test_files_are_kept_by_name_and_a_blob_is_in_use_while_anything_refers_to_it(world: World) -> None:
    world.create()
    with world.node.units() as unit:
        assert not unit.files.in_use(OTHER)
        unit.files.put(JOB, "a", OTHER)
        assert unit.files.all(JOB) == {"a": OTHER}
        assert unit.files.in_use(OTHER)
        unit.uploads.add(Upload("me", OTHER, 1, 2))
        for _ in range(2):
            unit.files.remove(JOB, "a")
        assert unit.files.all(JOB) == {}
        assert unit.files.in_use(OTHER)
        unit.uploads.remove(Upload("me", OTHER, 1, 2))
        assert not unit.files.in_use(OTHER)
        unit.data_sets.add(data_set("me", OTHER))
        assert unit.files.in_use(OTHER)


def data_set(owner: str, named: Digest, *, created_at_ms: int = 0) -> DataSet:
    return DataSet(owner, named, 1, 2**40, 3, 4, created_at_ms)
