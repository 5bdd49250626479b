"""No message that a provider may send or be sent has a field for a secret of the manifest.

Derived: the messages from the table of rights and the API's descriptors, the names of secrets from the manifest's own
types. Bytes have no type: each such field stands here with what keeps secrets out of it. A planted field is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import reduce
from typing import Any

import pytest
from architecture.reach import before_delivery, documents
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from node.coordinator.rights import RIGHTS
from node.core.manifest import Manifest
from node.core.policy import Policy
from node.core.rows import Row
from node.crypto.certificates import Role
from node.crypto.signing import Envelope
from node.wire.hallmark.v1 import (
    challenges_pb2,
    common_pb2,
    datasets_pb2,
    escrow_pb2,
    jobs_pb2,
    node_pb2,
    providers_pb2,
    transparency_pb2,
    uploads_pb2,
)

FILES = (
    common_pb2,
    jobs_pb2,
    uploads_pb2,
    providers_pb2,
    datasets_pb2,
    challenges_pb2,
    escrow_pb2,
    node_pb2,
    transparency_pb2,
)
METHODS = [method.split("/")[1:] for method, roles in RIGHTS.items() if Role.PROVIDER in roles and "hallmark" in method]
STRING, MESSAGE = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_MESSAGE

#: Why no field of bytes tells a provider a secret before it is bound to its adapter.
BYTES = {
    "Envelope.payload": "a signed message; which kinds stand in a chain by then, the table says",
    "Envelope.signature": "over that payload",
    "Chunk.data": "the training data; the manifest, but only out of a chain that holds its reveal",
    "InclusionProof.hashes": "of whole messages",
    "InclusionProof.leaf_hash": "of a whole message",
    "ConsistencyProof.hashes": "of whole messages",
    "Receipt.content": "of a settled job",
    "ProveFaultRequest.proof": "sent by the caller",
    "WriteUploadRequest.data": "sent by the caller",
}


def names_in(kinds: Iterable[Any]) -> set[str]:
    return {field.name for kind in kinds if is_dataclass(kind) for field in fields(kind)}


def snake(name: str) -> str:
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()


PUBLIC = reduce(set.union, map(documents, (Row, Policy, Envelope, *before_delivery())))
SECRET = documents(Manifest) - documents(Row) - documents(Policy)
NAMED = names_in(SECRET) | {snake(kind.__name__) for kind in SECRET}
#: Names of secret fields and types, one or many, but for those that public documents have, too: both count rows.
SECRET_NAMES = (NAMED | {f"{name}s" for name in NAMED}) - names_in(PUBLIC)


def messages(services: dict[str, ServiceDescriptor], methods: Iterable[list[str]]) -> list[Descriptor]:
    """Whatever these methods take or give back, and the messages inside."""
    found: list[Descriptor] = []
    for service, name in methods:
        method = services[service].methods_by_name[name]
        found += [method.input_type, method.output_type]
    for each in found:
        found += [field.message_type for field in each.fields if field.message_type not in (None, *found)]
    return list({each.full_name: each for each in found}.values())


def places_for_secrets(found: Iterable[Descriptor]) -> Iterator[str]:
    for message in found:
        for field in message.fields:
            kind = snake(field.message_type.name) if field.message_type else None
            if {field.name, kind} & SECRET_NAMES:
                yield f"{message.name}.{field.name}"


def opaque(found: Iterable[Descriptor]) -> set[str]:
    """Fields that may hold anything: bytes, and messages that are not of this API."""
    return {
        f"{message.name}.{field.name}"
        for message in found
        for field in message.fields
        if field.type == FieldDescriptor.TYPE_BYTES
        or (field.message_type and field.message_type.full_name in ("google.protobuf.Struct", "google.protobuf.Any"))
    }


def in_order(files: Iterable[FileDescriptor]) -> list[FileDescriptor]:
    """The files and those that they import, each after its imports."""
    found: dict[str, FileDescriptor] = {}
    for file in files:
        found |= {each.name: each for each in [*in_order(file.dependencies), file] if each.name not in found}
    return list(found.values())


SERVICES = {each.full_name: each for file in FILES for each in file.DESCRIPTOR.services_by_name.values()}


def test_names_of_secrets_follow_from_the_manifest() -> None:
    assert {"seed_hex", "marks", "mark", "trigger", "coin", "carrier", "twin", "draws", "manifest"} <= SECRET_NAMES
    assert not {"rows", "link", "payload", "job"} & SECRET_NAMES


def test_no_message_that_a_provider_may_send_or_get_has_a_place_for_a_secret() -> None:
    found = messages(SERVICES, METHODS)
    assert {"Lease", "Envelope", "TrainingProgress", "Chunk"} <= {each.name for each in found}
    assert list(places_for_secrets(found)) == []


def test_every_field_that_could_hold_anything_is_accounted_for() -> None:
    assert opaque(messages(SERVICES, METHODS)) == BYTES.keys()


@pytest.mark.parametrize(
    ("name", "kind"), [("seed_hex", None), ("triggers", None), ("coin", None), ("hidden", ".hallmark.v1.Mark")]
)
def test_a_secret_planted_in_a_message_is_found(name: str, kind: str | None) -> None:
    pool = DescriptorPool()
    for file in in_order(module.DESCRIPTOR for module in FILES):
        planted = FileDescriptorProto()
        file.CopyToProto(planted)
        if file.name == common_pb2.DESCRIPTOR.name:
            planted.message_type.add(name="Mark")
        for lease in (each for each in planted.message_type if each.name == "Lease"):
            lease.field.add(name=name, number=99, type=MESSAGE if kind else STRING, label=1, type_name=kind)
        pool.Add(planted)
    services = {name: pool.FindServiceByName(name) for name in SERVICES}
    assert list(places_for_secrets(messages(services, METHODS))) == [f"Lease.{name}"]


def test_bytes_planted_in_a_message_are_noticed() -> None:
    more = FileDescriptorProto(name="more.proto")
    more.message_type.add(name="More").field.add(name="more", number=1, type=FieldDescriptorProto.TYPE_BYTES, label=1)
    pool = DescriptorPool()
    pool.Add(more)
    assert opaque([pool.FindMessageTypeByName("More")]) == {"More.more"}
