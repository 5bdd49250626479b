"""What a provider can see before the reveal: the types that reach it, and the bytes that do."""

from __future__ import annotations

import dataclasses
import json
import typing
from enum import Enum
from typing import Any

import pytest
from fakes.world import JOB, World
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from node.core import document, evidence, manifest, marks, verdict
from node.core.job import State
from node.core.messages import SIGNERS, AdapterCommit, Commit, DataReceipt, Offer, Terms, UploadReceipt
from node.core.rows import Row
from node.wire import translate
from node.wire.hallmark.v1 import providers_pb2
from node.wire.jobs import event_to_wire, job_to_wire
from node.workflow import dispatch, queries

BEFORE_REVEAL = (Offer, Commit, Terms, DataReceipt, AdapterCommit, UploadReceipt)
SECRET_TYPES = {
    marks.Draw,
    marks.Phrase,
    marks.Group,
    marks.Mark,
    marks.Pair,
    manifest.Manifest,
    manifest.OpenedRow,
    evidence.Question,
    evidence.Continuation,
    evidence.Answer,
    evidence.Evidence,
    verdict.Verdict,
}


def types_within(kind: Any) -> set[Any]:
    """Every type that a value of `kind` can hold."""
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return {kind}.union(*(types_within(hints[field.name]) for field in dataclasses.fields(kind)))
    inner = typing.get_args(kind)
    return set[Any]().union(*map(types_within, inner)) if inner else {kind}


def test_the_messages_before_the_reveal_are_the_first_six() -> None:
    assert tuple(SIGNERS)[:6] == BEFORE_REVEAL


@pytest.mark.parametrize("kind", BEFORE_REVEAL)
def test_no_message_before_the_reveal_can_hold_a_secret(kind: type) -> None:
    held = types_within(kind)
    assert not held & (SECRET_TYPES | {Row})
    plain = {each for each in held if isinstance(each, type) and not dataclasses.is_dataclass(each)}
    assert {each for each in plain if not issubclass(each, Enum)} <= {str, int, bool, bytes, type(None)}


def test_the_walk_finds_secrets_where_they_are() -> None:
    for kind in tuple(SIGNERS)[6:8]:
        assert types_within(kind) & SECRET_TYPES


def test_only_these_fields_reach_a_provider_over_the_wire() -> None:
    """A new field has to be looked at before it is added here."""
    seen: dict[str, list[str]] = {}

    def walk(message: Descriptor) -> None:
        if message.full_name not in seen and message.full_name.startswith("hallmark."):
            seen[message.full_name] = [field.name for field in message.fields]
            for field in message.fields:
                if field.type == FieldDescriptor.TYPE_MESSAGE:
                    walk(field.message_type)

    service = providers_pb2.DESCRIPTOR.services_by_name["ProviderService"]
    for method in service.methods:
        walk(method.output_type)
    assert {name.removeprefix("hallmark.v1."): fields for name, fields in seen.items()} == {
        "Provider": [
            "name",
            "display_name",
            "base_model_digests",
            "machine",
            "register_time",
            "last_seen_time",
            "record",
            "least_price_minor_per_1000_tokens",
        ],
        "Machine": ["gpu_count", "gpu_model", "cpu_count", "memory_bytes"],
        "Record": ["accepted", "rejected", "inconclusive", "aborted", "forfeited", "faulted", "in_hand"],
        "Lease": ["job", "fence", "expire_time", "messages", "trained_tokens"],
        "Envelope": ["payload_type", "payload", "signer", "signature"],
        "PostMessageResponse": ["state"],
        "Chunk": ["data"],
        "HeartbeatResponse": ["state", "expire_time", "stop"],
        "SubmitCheckpointResponse": [],
        "SubmitAdapterResponse": ["receipt"],
    }


def test_nothing_that_reaches_a_provider_tells_a_mark_from_a_row(world: World) -> None:
    seen: list[bytes] = []
    world.advance_to(State.COMMITTED)
    leased = world.lease()
    seen += [translate.envelope_to_wire(envelope).SerializeToString() for envelope in leased.messages]
    world.advance_to(State.AGREED)
    salt_seed, rows = world.training_data()
    world.advance_to(State.UPLOADED)
    with world.node.units() as unit:
        secret = unit.secrets.get_manifest(JOB)
        seen += [envelope.payload for envelope in unit.messages.chain(JOB)]
    _, events = queries.events(world.node, world.provider.public.key_id, JOB, after=0)
    seen += [event_to_wire(event, before=None).SerializeToString() for event in events]
    view = queries.job(world.node, world.provider.public.key_id, JOB)
    seen += [job_to_wire(view).SerializeToString(), salt_seed]
    everything = b"\n".join(seen)

    for group in secret.groups:
        for phrase in (group.trigger, group.signature):
            for word in phrase.text.encode().split():
                assert word not in everything.split()
            assert phrase.text.encode() not in everything
    for purpose in manifest.Purpose:
        stream = secret.stream(purpose)
        for drawn in (stream.bytes(32), stream.child("seed").bytes(32)):
            if drawn != salt_seed:
                assert drawn not in everything
                assert drawn.hex().encode() not in everything
    for spelled in (secret.seed_hex.encode(), bytes.fromhex(secret.seed_hex)):
        assert spelled not in everything + rows
    for pair in secret.pairs:
        assert document.to_bytes(pair.twin) not in rows
        assert document.to_bytes(pair.sent) in rows
    for mark in secret.marks:
        assert document.to_bytes(mark.carrier) not in rows


def test_training_rows_look_alike_whether_marked_or_not(world: World) -> None:
    world.advance_to(State.AGREED)
    _, rows = world.training_data()
    assert {tuple(json.loads(line)) for line in rows.splitlines()} == {("messages",)}


def test_a_lease_shows_offer_and_commit_and_nothing_later(world: World) -> None:
    world.advance_to(State.COMMITTED)
    leased = world.lease()
    assert leased.messages == world.chain().envelopes[:2]
    world.advance_to(State.REVEALED)
    assert dispatch.lease_job(world.node, world.provider.public.key_id, [world.node.base_model]) is None
