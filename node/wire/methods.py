"""Every method of the API, by its full name, as the .proto files describe it. Knows nothing of who may call what."""

from __future__ import annotations

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from node.wire.hallmark.v1 import (
    challenges_pb2,
    datasets_pb2,
    escrow_pb2,
    jobs_pb2,
    node_pb2,
    providers_pb2,
    transparency_pb2,
    uploads_pb2,
)

FILES: tuple[FileDescriptor, ...] = tuple(
    module.DESCRIPTOR
    for module in (
        challenges_pb2,
        datasets_pb2,
        escrow_pb2,
        jobs_pb2,
        node_pb2,
        providers_pb2,
        transparency_pb2,
        uploads_pb2,
    )
)

#: "/hallmark.v1.JobService/CreateJob" -> its descriptor.
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.services_by_name.values()
    for method in service.methods
}
SERVICES: tuple[str, ...] = tuple(service.full_name for file in FILES for service in file.services_by_name.values())


def changes(method: str) -> bool:
    """Whether a call of this method may change something: all do that are not marked otherwise in the .proto files.

    Methods that are none of ours, health and reflection, only read.
    """
    described = METHODS.get(method)
    return described is not None and described.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS
