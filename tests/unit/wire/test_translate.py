"""Values of the core across the wire and back."""

from __future__ import annotations

from typing import cast

import pytest
from fakes.world import key

from node.core.job import State
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


@pytest.mark.parametrize("name", ["", "jobs", "jobs/", "job/a", "/a", "a", "JOBS/a", "jobs/a/b"])
def test_what_is_no_job_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        translate.job_id_of(name)


def test_a_job_name_holds_its_id() -> None:
    assert translate.job_id_of("jobs/a-1") == "a-1"


def test_a_data_set_is_named_after_its_digest() -> None:
    good = digest("test", b"x")
    assert translate.digest_of(f"datasets/{good}", "datasets") == good
    for bad in (f"uploads/{good}", f"datasets/{good.hex}", str(good)):
        with pytest.raises(InvalidInput):
            translate.digest_of(bad, "datasets")


def test_a_state_that_nobody_knows_is_refused() -> None:
    for number in (0, 99):
        with pytest.raises(InvalidInput):
            translate.state_from_wire(cast(jobs_pb2.JobState, number))


def test_digests_are_read_from_their_one_spelling() -> None:
    good = digest("test", b"x")
    assert translate.digests([str(good)]) == [good]
    for bad in ("", good.hex, str(good).upper()):
        with pytest.raises(InvalidInput):
            translate.digests([bad])
