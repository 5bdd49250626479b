"""Wire messages of the provider service <-> values of the middle."""

from __future__ import annotations

from dataclasses import asdict

from google.protobuf.timestamp_pb2 import Timestamp

from node.core.capabilities import Capabilities, Machine
from node.crypto.digest import Digest
from node.errors import InvalidInput
from node.wire import translate
from node.wire.hallmark.v1 import common_pb2, providers_pb2
from node.workflow.deliver import Beat
from node.workflow.dispatch import Leased
from node.workflow.register import Known


def capabilities_from_wire(request: providers_pb2.RegisterProviderRequest) -> Capabilities:
    said = request.machine
    return Capabilities(
        tuple(translate.digests(list(request.base_model_digests))),
        Machine(said.gpu_count, said.gpu_model, said.cpu_count, said.memory_bytes),
        request.least_price_minor_per_1000_tokens,
    )


def capabilities_to_wire(name: str, said: Capabilities) -> providers_pb2.RegisterProviderRequest:
    return providers_pb2.RegisterProviderRequest(
        display_name=name,
        base_model_digests=[str(digest) for digest in said.base_models],
        machine=providers_pb2.Machine(**asdict(said.machine)),
        least_price_minor_per_1000_tokens=said.least_price_minor_per_1000_tokens,
    )


def provider_to_wire(known: Known) -> providers_pb2.Provider:
    return providers_pb2.Provider(
        name=f"providers/{known.provider.key_id}",
        display_name=known.provider.name,
        base_model_digests=[str(digest) for digest in known.capabilities.base_models],
        machine=providers_pb2.Machine(**asdict(known.capabilities.machine)),
        register_time=_time(known.provider.registered_at_ms),
        last_seen_time=_time(known.provider.last_seen_ms),
        record=providers_pb2.Record(**asdict(known.record)),
        least_price_minor_per_1000_tokens=known.capabilities.least_price_minor_per_1000_tokens,
    )


def key_id_of(name: str) -> str:
    """The key id in a resource name "providers/<key id>". Raises InvalidInput for another kind of name."""
    prefix, _, key_id = name.partition("/")
    if prefix != "providers" or not key_id:
        raise InvalidInput('A provider is named "providers/<key id>".', field="name", actual=name[:80])
    return key_id


def lease_to_wire(leased: Leased | None) -> providers_pb2.Lease:
    if leased is None:
        return providers_pb2.Lease()
    return providers_pb2.Lease(
        job=f"jobs/{leased.lease.job}",
        fence=leased.lease.fence,
        expire_time=_time(leased.lease.until_ms),
        messages=[translate.envelope_to_wire(envelope) for envelope in leased.messages],
        trained_tokens=leased.trained_tokens,
    )


def beat_to_wire(beat: Beat) -> providers_pb2.HeartbeatResponse:
    return providers_pb2.HeartbeatResponse(
        state=translate.state_to_wire(beat.state), expire_time=_time(beat.until_ms), stop=beat.stop
    )


def files_from_wire(files: list[common_pb2.File]) -> dict[str, Digest]:
    """Digests by name. Raises InvalidInput if a name occurs twice."""
    found = {file.name: Digest.parse(file.digest) for file in files}
    if len(found) != len(files):
        raise InvalidInput("Each file is named once.", field="files")
    return found


def _time(milliseconds: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(milliseconds)
    return time
