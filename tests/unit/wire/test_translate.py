"""Values of the core across the wire and back."""

from __future__ import annotations

import pytest
from fakes.world import key

from node.core.events import JobEvent, Progress
from node.core.job import SILENCE, Deadlines, Job, State
from node.crypto.digest import digest
from node.crypto.signing import sign
from node.errors import InvalidInput
from node.wire import translate
from node.wire.hallmark.v1 import common_pb2, jobs_pb2


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_own_number(state: State) -> None:
    assert translate.state_from_wire(translate.state_to_wire(state)) is state
    assert translate.state_to_wire(state) != jobs_pb2.JOB_STATE_UNSPECIFIED


def test_the_wire_knows_no_other_states() -> None:
    names = {name.removeprefix("JOB_STATE_") for name in jobs_pb2.JobState.keys()}  # noqa: SIM118 - not a mapping
    assert names - {"UNSPECIFIED"} == {state.name for state in State}


def test_an_envelope_survives_byte_for_byte() -> None:
    envelope = sign(key("client"), "text/plain", b"\x00\xff payload")
    data = translate.envelope_to_wire(envelope).SerializeToString()
    assert translate.envelope_from_wire(common_pb2.Envelope.FromString(data)) == envelope


@pytest.mark.parametrize("progress", [None, Progress(3, 9, 0.25, 1.5, 210.0)])
def test_an_event_survives_and_says_who_acts_next(progress: Progress | None) -> None:
    for state in State:
        event = JobEvent(7, 1_800_000_000_123, state, "It happened.", progress)
        wire = translate.event_to_wire(event)
        assert translate.event_from_wire(wire) == event
        assert wire.waits_for == (SILENCE[state].actor.value if state in SILENCE else "nobody")


def test_a_job_shows_where_it_stands() -> None:
    job = Job("job-1", State.TRAINING, "client", "provider", Deadlines(), 1_000, 61_500)
    wire = translate.job_to_wire(job)
    assert (wire.name, wire.client, wire.provider, wire.waits_for) == ("jobs/job-1", "client", "provider", "provider")
    assert (wire.create_time.ToMilliseconds(), wire.due_time.ToMilliseconds()) == (1_000, 61_500)
    ended = translate.job_to_wire(Job("job-1", State.EXPIRED, "client", None, Deadlines(), 1_000, None))
    assert (ended.provider, ended.waits_for, ended.HasField("due_time")) == ("", "nobody", False)


@pytest.mark.parametrize("name", ["", "jobs", "jobs/", "job/a", "/a", "a", "JOBS/a"])
def test_what_is_no_job_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        translate.job_id_of(name)


def test_a_job_name_holds_its_id() -> None:
    assert translate.job_id_of("jobs/a-1") == "a-1"


def test_digests_are_read_from_their_one_spelling() -> None:
    good = digest("test", b"x")
    assert translate.digests([str(good)]) == [good]
    for bad in ("", good.hex, str(good).upper()):
        with pytest.raises(InvalidInput):
            translate.digests([bad])
