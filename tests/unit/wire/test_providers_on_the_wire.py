"""Providers, leases and adapters as messages: what arrives in another form is refused, naming the field."""

from __future__ import annotations

import pytest

from node.core.adapter import CONFIG, WEIGHTS
from node.core.capabilities import Capabilities, Machine
from node.core.job import State
from node.crypto.digest import digest
from node.errors import HallmarkError, InvalidInput
from node.ports.leases import Lease
from node.ports.providers import Provider, Record
from node.wire import providers
from node.wire.hallmark.v1 import common_pb2, jobs_pb2, providers_pb2
from node.workflow.deliver import Beat
from node.workflow.dispatch import Leased
from node.workflow.register import Known

MODEL = digest("test", b"model")


def test_what_a_provider_says_arrives_as_it_was_said() -> None:
    said = Capabilities((MODEL,), Machine(2, "a fast one", 16, 2**37), least_price_minor_per_1000_tokens=7)
    request = providers.capabilities_to_wire("barn", said)
    assert (request.display_name, providers.capabilities_from_wire(request)) == ("barn", said)
    known = Known(Provider("ed25519:00", "barn", "", 1000, 2000), said, Record(accepted=3, in_hand=1))
    shown = providers.provider_to_wire(known)
    assert (shown.name, shown.display_name, shown.machine) == ("providers/ed25519:00", "barn", request.machine)
    assert shown.least_price_minor_per_1000_tokens == 7
    assert (shown.register_time.ToMilliseconds(), shown.last_seen_time.ToMilliseconds()) == (1000, 2000)
    assert shown.record == providers_pb2.Record(accepted=3, in_hand=1)
    assert providers.key_id_of(shown.name) == "ed25519:00"


@pytest.mark.parametrize("name", ["", "ed25519:00", "providers/", "jobs/ed25519:00"])
def test_another_kind_of_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        providers.key_id_of(name)
    assert refusal.value.facts["field"] == "name"


def test_no_lease_is_an_empty_message() -> None:
    assert providers.lease_to_wire(None) == providers_pb2.Lease()
    shown = providers.lease_to_wire(Leased(Lease("job-1", 7, "ed25519:00", 3000), (), 500))
    assert (shown.job, shown.fence, shown.expire_time.ToMilliseconds()) == ("jobs/job-1", 7, 3000)
    assert shown.trained_tokens == 500


def test_a_heartbeats_answer_says_whether_to_stop() -> None:
    shown = providers.beat_to_wire(Beat(State.FORFEITED, 3000, stop=True))
    assert (shown.state, shown.stop) == (jobs_pb2.JOB_STATE_FORFEITED, True)


def test_each_file_of_an_adapter_is_named_once_with_its_digest() -> None:
    file = common_pb2.File(name=WEIGHTS, digest=str(MODEL))
    assert providers.files_from_wire([file]) == {WEIGHTS: MODEL}
    for wrong in ([file, file], [common_pb2.File(name=CONFIG, digest="md5:00")]):
        with pytest.raises(HallmarkError):
            providers.files_from_wire(wrong)
