"""Jobs, events and wishes across the wire."""

from __future__ import annotations

import pytest
from fakes.world import World, build
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from node.core.events import JobEvent, Progress
from node.core.job import SILENCE, Deadlines, Job, State
from node.core.messages import Offer
from node.core.verdict import Outcome
from node.crypto.digest import digest
from node.wire import jobs
from node.wire.hallmark.v1 import jobs_pb2
from node.workflow.queries import AdapterFile, JobView

PROGRESS = Progress(3, 9, 0.25, 1.5, 210.0)
TIME_MS = 1_800_000_000_123


@pytest.fixture(scope="module")
def offer(tmp_path_factory: pytest.TempPathFactory) -> Offer:
    world: World = build(tmp_path_factory.mktemp("world"))
    made = world.offer()
    world.database.dispose()
    return made


@pytest.mark.parametrize("progress", [None, PROGRESS])
def test_an_event_survives_and_says_who_acts_next(progress: Progress | None) -> None:
    for state in State:
        event = JobEvent(7, TIME_MS, state, "It happened.", progress)
        wire = jobs.event_to_wire(event, before=None)
        assert jobs.event_from_wire(wire) == event
        assert wire.waits_for == (SILENCE[state].actor.value if state in SILENCE else "")


def test_an_event_says_what_kind_it_is() -> None:
    told = JobEvent(7, TIME_MS, State.TRAINING, "It happened.")
    measured = JobEvent(8, TIME_MS, State.TRAINING, "Step 3 of 9.", PROGRESS)
    assert jobs.event_to_wire(told, before=State.AGREED).type == jobs_pb2.JOB_EVENT_TYPE_STATE_CHANGED
    assert jobs.event_to_wire(told, before=None).type == jobs_pb2.JOB_EVENT_TYPE_STATE_CHANGED
    assert jobs.event_to_wire(told, before=State.TRAINING).type == jobs_pb2.JOB_EVENT_TYPE_MESSAGE
    assert jobs.event_to_wire(measured, before=State.TRAINING).type == jobs_pb2.JOB_EVENT_TYPE_METRICS


def test_a_waiting_job_says_who_must_act_until_when_and_what_happens_otherwise(offer: Offer) -> None:
    for state in SILENCE:
        job = Job("job-1", state, "client", "provider", Deadlines(), 1_000, 61_500)
        wire = jobs.job_to_wire(JobView(job, offer, 900))
        assert (wire.name, wire.client, wire.provider) == ("jobs/job-1", "client", "provider")
        assert (wire.create_time.ToMilliseconds(), wire.due_time.ToMilliseconds()) == (1_000, 61_500)
        assert wire.waits_for == SILENCE[state].actor.value
        assert wire.on_silence.endswith(".")
        assert wire.trained_tokens == 900
        assert (wire.stake_minor, wire.fee_minor) == (offer.money.stake_minor, offer.money.fee_minor)


def test_an_ended_job_waits_for_nobody(offer: Offer) -> None:
    ended = jobs.job_to_wire(JobView(Job("job-1", State.EXPIRED, "client", None, Deadlines(), 1_000, None), offer, 900))
    assert (ended.provider, ended.waits_for, ended.on_silence, ended.HasField("due_time")) == ("", "", "", False)


def test_training_finishes_when_its_pace_says(offer: Offer) -> None:
    deadlines = Deadlines(train_seconds=100)
    job = Job("job-1", State.TRAINING, "client", "provider", deadlines, 0, 1_000_000)  # so it began at 900 s
    view = JobView(job, offer, 900, JobEvent(5, 930_000, State.TRAINING, "Step 3 of 9.", PROGRESS))
    assert view.estimated_finish_ms == 990_000
    wire = jobs.job_to_wire(view)
    assert (wire.estimated_finish_time.ToMilliseconds(), wire.progress.step) == (990_000, 3)
    assert JobView(job, offer, 900).estimated_finish_ms is None


def test_files_of_an_accepted_adapter_are_named_with_their_sizes(offer: Offer) -> None:
    job = Job("job-1", State.SETTLED, "client", "provider", Deadlines(), 0, None)
    file = AdapterFile("adapter_config.json", digest("test", b"x"), 7)
    (named,) = jobs.job_to_wire(JobView(job, offer, 900, settled=Outcome.ACCEPT, adapter=(file,))).adapter_files
    assert (named.name, named.digest, named.size_bytes) == (file.name, str(file.digest), 7)


def test_whole_numbers_of_a_wish_are_integers() -> None:
    wish = jobs.wish_from_wire(
        jobs_pb2.QuoteJobRequest(
            dataset=f"datasets/{digest('test', b'x')}",
            training=ParseDict({"epochs": 3, "seed": 1.5, "target_modules": ["q_proj"]}, Struct()),
        )
    )
    assert wish.training == {"epochs": 3, "seed": 1.5, "target_modules": ["q_proj"]}
    assert type(wish.training["epochs"]) is int
    assert (wish.arbiter, wish.policy) == (None, {})
