"""Proofs of equivocation: a fork is proven between any two sizes, and an honest log or coordinator never is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from fakes.world import key
from hypothesis import assume, given
from hypothesis import strategies as st

from node.core import equivocation
from node.core.checkpoint import Checkpoint, sign_checkpoint
from node.core.equivocation import Equivocation, Prefix, prefix_of
from node.core.messages import SIGNERS, Commit, Settled, Terms, VerdictGiven, seal
from node.core.receipt import Trust
from node.crypto.digest import canonical_bytes, digest
from node.crypto.merkle import Tree, leaf_hash
from node.crypto.signing import Envelope, PrivateKey
from node.errors import IntegrityFailure, UnknownSigner

LOG, COORDINATOR = key("log"), key("coordinator")
TRUST = Trust({COORDINATOR.public.key_id: COORDINATOR.public}, {LOG.public.key_id: LOG.public})


def leaves_of(size: int) -> list[bytes]:
    return [b"message %d" % index for index in range(size)]


def signed(leaves: Sequence[bytes], *, log: PrivateKey = LOG, origin: str = "somebody") -> Envelope:
    return sign_checkpoint(Checkpoint(origin, len(leaves), Tree(leaves).root, 0), log)


def shown(leaves: Sequence[bytes], size: int) -> Prefix:
    """How the log of `leaves` shows its first `size` ones."""
    return prefix_of(leaf_hash(leaves[size]), Tree(leaves).inclusion(size))


def refused(proof: Equivocation, trust: Trust = TRUST) -> IntegrityFailure:
    with pytest.raises(IntegrityFailure) as refusal:
        equivocation.check(equivocation.to_bytes(proof), trust)
    return refusal.value


# Two logs


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 39))
def test_a_rewritten_past_is_proven_between_any_two_sizes(size: int, more: int, rewritten: int) -> None:
    leaves = leaves_of(size)
    other = leaves_of(size + more)
    other[rewritten % size] = b"rewritten"
    proof = Equivocation(signed(leaves), signed(other), shown(other, size) if more else None)
    assert "two histories" in equivocation.check(equivocation.to_bytes(proof), TRUST)


@given(st.integers(0, 40), st.integers(0, 40))
def test_an_honest_log_is_never_proven_guilty(size: int, more: int) -> None:
    leaves = leaves_of(size + more)
    proof = Equivocation(signed(leaves[:size]), signed(leaves), shown(leaves, size) if more else None)
    assert "they agree" in str(refused(proof))


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_no_forged_proof_makes_an_honest_log_guilty(size: int, more: int, data: st.DataObject) -> None:
    leaves = leaves_of(size + more)
    honest = shown(leaves, size)
    hashes = [leaf_hash(leaf).hex() for leaf in leaves] + list(honest.proof_hex)
    forged = Prefix(data.draw(st.sampled_from(hashes)), tuple(data.draw(st.lists(st.sampled_from(hashes), max_size=6))))
    assume(forged != honest)
    refused(Equivocation(signed(leaves[:size]), signed(leaves), forged))
    refused(Equivocation(signed(leaves), signed(leaves[:size]), forged))
    refused(Equivocation(signed(leaves), signed(leaves), forged))


def test_a_contradiction_must_be_shown_not_claimed() -> None:
    leaves, other = leaves_of(4), [*leaves_of(3), b"rewritten", b"more"]
    assert refused(Equivocation(signed(leaves), signed(other))).facts["field"] == "prefix"
    refused(Equivocation(signed(other), signed(leaves), shown(other, 4)))
    refused(Equivocation(signed(leaves), signed(other[:4]), shown(other, 4)))


def test_two_logs_or_two_keys_prove_nothing() -> None:
    leaves, other = leaves_of(4), [*leaves_of(3), b"rewritten"]
    assert "two logs" in str(refused(Equivocation(signed(leaves), signed(other, origin="somebody else"))))
    assert "Two parties" in str(refused(Equivocation(signed(leaves), signed(other, log=key("stranger")))))
    unknown = Equivocation(signed(leaves, log=key("stranger")), signed(other, log=key("stranger")))
    assert type(refused(unknown)) is UnknownSigner
    forged = replace(signed(other, log=key("stranger")), signer=LOG.public.key_id)
    refused(Equivocation(signed(leaves), forged))


# Two messages


def coordinators(dispute: Any) -> list[Any]:
    return [message for message in dispute.chain.messages if SIGNERS[type(message)] is SIGNERS[Commit]]


def test_a_coordinator_that_signed_two_messages_for_one_place_is_proven_guilty(dispute: Any) -> None:
    for message in coordinators(dispute):
        if isinstance(message, Commit):
            other = replace(message, rows=message.rows + 1)
        else:
            other = replace(message, link=replace(message.link, previous=digest("test", b"another story")))
        proof = Equivocation(seal(message, COORDINATOR), seal(other, COORDINATOR))
        told = equivocation.check(equivocation.to_bytes(proof), TRUST)
        assert f"place {message.link.sequence} of job job-1" in told


def test_two_kinds_of_messages_for_one_place_contradict_each_other(dispute: Any) -> None:
    given_, settled = dispute.chain.find(VerdictGiven), dispute.chain.find(Settled)
    early = replace(settled, link=given_.link)
    proof = Equivocation(seal(given_, COORDINATOR), seal(early, COORDINATOR))
    assert "VerdictGiven and Settled" in equivocation.check(equivocation.to_bytes(proof), TRUST)


def test_what_an_honest_coordinator_signs_proves_nothing(dispute: Any) -> None:
    messages = coordinators(dispute)
    for first in messages:
        for second in messages:
            refused(Equivocation(seal(first, COORDINATOR), seal(second, COORDINATOR)))
    commit, terms = dispute.chain.find(Commit), dispute.chain.find(Terms)
    elsewhere = replace(commit, link=replace(commit.link, job="job-2"))
    refused(Equivocation(seal(commit, COORDINATOR), seal(elsewhere, COORDINATOR)))
    posing = seal(replace(terms, link=commit.link), COORDINATOR)
    assert "not two statements" in str(refused(Equivocation(seal(commit, COORDINATOR), posing)))
    other = seal(replace(commit, rows=commit.rows + 1), key("stranger"))
    refused(Equivocation(seal(commit, COORDINATOR), other))
    refused(Equivocation(seal(commit, COORDINATOR), replace(other, signer=COORDINATOR.public.key_id)))


# The file


def test_a_proof_file_has_one_spelling() -> None:
    leaves, other = leaves_of(4), [*leaves_of(3), b"rewritten", b"more"]
    data = equivocation.to_bytes(Equivocation(signed(leaves), signed(other), shown(other, 4)))
    assert equivocation.to_bytes(equivocation.from_bytes(data)) == data
    value = json.loads(data)
    for changed in (
        b"",
        b"{}",
        data + b"\n",
        json.dumps(value).encode(),
        canonical_bytes({**value, "format": "hallmark.equivocation.v2"}),
        canonical_bytes({**value, "extra": 1}),
        canonical_bytes({name: item for name, item in value.items() if name != "prefix"}),
        canonical_bytes({**value, "prefix": {**value["prefix"], "leaf_hash_hex": "AB" * 32}}),
        canonical_bytes({**value, "prefix": {**value["prefix"], "extra": 1}}),
        canonical_bytes({**value, "first": {**value["first"], "signature": ""}}),
    ):
        with pytest.raises(IntegrityFailure):
            equivocation.check(changed, TRUST)
