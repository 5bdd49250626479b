"""Checkpoints: a later one extends an earlier one, or it is found out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.world import key
from hypothesis import given
from hypothesis import strategies as st

from node.core.checkpoint import Checkpoint, LogEntry, check_extends, check_included, open_checkpoint, sign_checkpoint
from node.core.manifest import proof_to_hex
from node.crypto.merkle import Tree
from node.errors import IntegrityFailure, SignatureInvalid, UnknownSigner

LOG = key("log")
LOGS = {LOG.public.key_id: LOG.public}


def leaves_of(size: int) -> list[bytes]:
    return [b"message %d" % index for index in range(size)]


def checkpoint_of(leaves: list[bytes], *, origin: str = "somebody", time_ms: int = 0) -> Checkpoint:
    return Checkpoint(origin, len(leaves), Tree(leaves).root, time_ms)


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_log_that_only_grew_extends_every_checkpoint_before(size: int, more: int) -> None:
    leaves = leaves_of(size + more)
    proof = Tree(leaves).consistency(size)
    check_extends(checkpoint_of(leaves[:size]), checkpoint_of(leaves, time_ms=7), proof)


@given(st.integers(1, 30), st.integers(0, 30), st.integers(0, 29))
def test_a_rewritten_leaf_is_found_out(size: int, more: int, rewritten: int) -> None:
    leaves = leaves_of(size + more)
    other = [*leaves]
    other[rewritten % size] = b"rewritten"
    with pytest.raises(IntegrityFailure):
        check_extends(checkpoint_of(leaves[:size]), checkpoint_of(other), Tree(other).consistency(size))


@given(st.integers(1, 30), st.integers(1, 30))
def test_a_truncated_log_is_found_out(size: int, fewer: int) -> None:
    before, after = checkpoint_of(leaves_of(size + fewer)), checkpoint_of(leaves_of(size))
    with pytest.raises(IntegrityFailure, match="never shrinks"):
        check_extends(before, after, Tree(leaves_of(size + fewer)).consistency(size))


def test_two_logs_do_not_extend_each_other() -> None:
    leaves = leaves_of(3)
    with pytest.raises(IntegrityFailure, match="two logs"):
        check_extends(checkpoint_of(leaves), checkpoint_of(leaves, origin="somebody else"), ())


def test_a_checkpoint_is_read_as_its_own_log_signed_it_and_by_no_other_key() -> None:
    checkpoint = checkpoint_of(leaves_of(5))
    envelope = sign_checkpoint(checkpoint, LOG)
    assert open_checkpoint(envelope, logs=LOGS) == checkpoint
    with pytest.raises(UnknownSigner):
        open_checkpoint(sign_checkpoint(checkpoint, key("stranger")), logs=LOGS)
    with pytest.raises(SignatureInvalid):
        open_checkpoint(replace(envelope, payload=envelope.payload.replace(b'"size":5', b'"size":6')), logs=LOGS)
    posing = replace(sign_checkpoint(checkpoint, key("stranger")), signer=LOG.public.key_id)
    with pytest.raises(SignatureInvalid):
        open_checkpoint(posing, logs=LOGS)


def test_a_message_is_included_at_its_own_place_alone() -> None:
    leaves = leaves_of(11)
    checkpoint, tree = checkpoint_of(leaves), Tree(leaves)
    for index, leaf in enumerate(leaves):
        entry = LogEntry(index, proof_to_hex(tree.inclusion(index)))
        check_included(leaf, entry, checkpoint)
        for wrong in (replace(entry, index=(index + 1) % 11), replace(entry, proof_hex=entry.proof_hex[1:])):
            with pytest.raises(IntegrityFailure):
                check_included(leaf, wrong, checkpoint)
        with pytest.raises(IntegrityFailure):
            check_included(b"another", entry, checkpoint)
