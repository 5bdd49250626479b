"""A job's messages: in protocol order, each by the party that must sign it, each bound to the one before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes.world import key

from node.core import document
from node.core.job import Actor
from node.core.messages import (
    EMPTY,
    FOLLOWERS,
    SIGNERS,
    Chain,
    Challenge,
    Offer,
    Settled,
    Terms,
    accept,
    link_after,
    payload_type,
    peek,
    read_chain,
    seal,
)
from node.crypto.digest import digest
from node.crypto.signing import Envelope, PublicKey, sign
from node.errors import IntegrityFailure, SignatureInvalid, UnknownSigner

KEYS = {actor: key(actor.value) for actor in (Actor.CLIENT, Actor.COORDINATOR, Actor.PROVIDER, Actor.ARBITER)}
TRUSTED = {KEYS[Actor.COORDINATOR].public.key_id: KEYS[Actor.COORDINATOR].public}
PLACES = range(len(SIGNERS))
SIGNERS_IN_ORDER = tuple(SIGNERS)


def before(dispute: Any, at: int) -> Chain:
    return Chain(dispute.chain.envelopes[:at], dispute.chain.messages[:at])


def resigned(message: Any) -> Envelope:
    return seal(message, KEYS[message.challenger if isinstance(message, Challenge) else SIGNERS[type(message)]])


def test_a_whole_job_is_read_message_by_message(dispute: Any) -> None:
    assert read_chain(dispute.chain.envelopes, trusted=TRUSTED) == dispute.chain
    assert [type(message) for message in dispute.chain.messages] == list(SIGNERS)


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("other", PLACES)
def test_only_the_next_kind_of_message_is_taken(dispute: Any, at: int, other: int) -> None:
    chain = before(dispute, at)
    if SIGNERS_IN_ORDER[other] in FOLLOWERS[SIGNERS_IN_ORDER[at - 1] if at else None]:
        if at != other:  # a settlement may come early, but this one follows another message
            with pytest.raises(IntegrityFailure, match="does not link"):
                accept(chain, dispute.chain.envelopes[other], trusted=TRUSTED)
            return
        assert accept(chain, dispute.chain.envelopes[at], trusted=TRUSTED).messages[-1] == dispute.chain.messages[at]
        return
    with pytest.raises(IntegrityFailure, match=f"Message {at} is a "):
        accept(chain, dispute.chain.envelopes[other], trusted=TRUSTED)


def test_nothing_follows_the_settlement(dispute: Any) -> None:
    with pytest.raises(IntegrityFailure, match="expected none"):
        accept(dispute.chain, resigned(dispute.chain.messages[-1]), trusted=TRUSTED)


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("forger", ["client", "provider", "coordinator", "arbiter", "stranger"])
def test_a_message_by_anybody_else_is_refused(dispute: Any, at: int, forger: str) -> None:
    message = dispute.chain.messages[at]
    envelope = seal(message, key(forger))
    if envelope == dispute.chain.envelopes[at]:
        return
    with pytest.raises(UnknownSigner):
        accept(before(dispute, at), envelope, trusted=TRUSTED)
    borrowed = replace(envelope, signer=dispute.chain.envelopes[at].signer)
    with pytest.raises(SignatureInvalid):
        accept(before(dispute, at), borrowed, trusted=TRUSTED)


@pytest.mark.parametrize("at", PLACES)
def test_a_changed_byte_of_payload_or_signature_is_refused(dispute: Any, at: int) -> None:
    envelope = dispute.chain.envelopes[at]
    for changed in (
        replace(envelope, signature=bytes([envelope.signature[0] ^ 1]) + envelope.signature[1:]),
        replace(envelope, signature=envelope.signature[:-1]),
        replace(envelope, payload=envelope.payload.replace(b"job-1", b"job-2")),
        replace(envelope, payload=envelope.payload + b" "),
        replace(envelope, payload_type=payload_type(Settled if at == 0 else Offer)),
        replace(envelope, payload_type="text/plain"),
    ):
        with pytest.raises(IntegrityFailure):
            accept(before(dispute, at), changed, trusted=TRUSTED)


@pytest.mark.parametrize("at", PLACES)
def test_a_well_signed_message_that_links_elsewhere_is_refused(dispute: Any, at: int) -> None:
    message = dispute.chain.messages[at]
    other = digest("test", b"another message")
    for link in (
        replace(message.link, sequence=at + 1),
        replace(message.link, previous=other),
        *((replace(message.link, previous=None), replace(message.link, job="job-2")) if at else ()),
    ):
        with pytest.raises(IntegrityFailure, match="does not link"):
            accept(before(dispute, at), resigned(replace(message, link=link)), trusted=TRUSTED)


def test_no_message_of_one_job_serves_in_another(dispute: Any) -> None:
    offer: Offer = dispute.chain.offer
    other = accept(EMPTY, resigned(replace(offer, link=replace(offer.link, job="job-2"))), trusted={})
    for at in range(1, len(SIGNERS)):
        with pytest.raises(IntegrityFailure):
            other = accept(other, dispute.chain.envelopes[at], trusted=TRUSTED)
        moved = replace(dispute.chain.messages[at], link=link_after("job-2", other.envelopes))
        other = accept(other, resigned(moved), trusted=TRUSTED)
    assert len(other.messages) == len(SIGNERS)


def test_a_coordinator_is_taken_only_if_it_is_trusted_and_named_by_the_offer(dispute: Any) -> None:
    stranger = key("stranger").public
    for trusted in ({}, {stranger.key_id: stranger}):
        with pytest.raises(UnknownSigner):
            read_chain(dispute.chain.envelopes, trusted=trusted)
    named = resigned(replace(dispute.chain.offer, coordinator=stranger.key_id))
    chain = accept(EMPTY, named, trusted=TRUSTED)
    commit = replace(dispute.chain.messages[1], link=chain.next_link())
    with pytest.raises(UnknownSigner):
        accept(chain, resigned(commit), trusted=TRUSTED | {stranger.key_id: stranger})


@pytest.mark.parametrize("spelled", ["", "zz", "AB" * 32, "00" * 32, "01" + "00" * 31])
def test_a_message_that_names_no_usable_key_is_refused(dispute: Any, spelled: str) -> None:
    offer = replace(dispute.chain.offer, client_key_hex=spelled)
    with pytest.raises(IntegrityFailure, match="no usable key"):
        accept(EMPTY, resigned(offer), trusted=TRUSTED)
    terms: Terms = replace(dispute.chain.messages[2], provider_key_hex=spelled)
    with pytest.raises(IntegrityFailure, match="no usable key"):
        accept(before(dispute, 2), resigned(terms), trusted=TRUSTED)


def test_an_offer_signed_with_another_key_than_it_names_is_refused(dispute: Any) -> None:
    other: PublicKey = key("stranger").public
    with pytest.raises(UnknownSigner):
        accept(EMPTY, resigned(replace(dispute.chain.offer, client_key_hex=other.hex)), trusted=TRUSTED)


def test_an_unknown_kind_and_a_payload_that_is_no_document_are_refused(dispute: Any) -> None:
    offer = document.to_bytes(dispute.chain.offer)
    for envelope in (
        sign(KEYS[Actor.CLIENT], "application/json", offer),
        sign(KEYS[Actor.CLIENT], payload_type(Offer), b"{}"),
        sign(KEYS[Actor.CLIENT], payload_type(Offer), b""),
        sign(KEYS[Actor.CLIENT], payload_type(Offer), offer.replace(b'"groups":3', b'"groups":0')),
    ):
        with pytest.raises(IntegrityFailure):
            peek(envelope)


def test_a_chain_says_what_it_lacks(dispute: Any) -> None:
    with pytest.raises(IntegrityFailure, match="no Settled"):
        before(dispute, 10).find(Settled)
    assert dispute.chain.next_link() == link_after("job-1", dispute.chain.envelopes)
