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
    SIGNERS,
    Chain,
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

KEYS = {Actor.CLIENT: key("client"), Actor.COORDINATOR: key("coordinator"), Actor.PROVIDER: key("provider")}
TRUSTED = {KEYS[Actor.COORDINATOR].public.key_id: KEYS[Actor.COORDINATOR].public}
PLACES = range(len(SIGNERS))


def before(story: Any, at: int) -> Chain:
    return Chain(story.chain.envelopes[:at], story.chain.messages[:at])


def resigned(message: Any) -> Envelope:
    return seal(message, KEYS[SIGNERS[type(message)]])


def test_a_whole_job_is_read_message_by_message(story: Any) -> None:
    assert read_chain(story.chain.envelopes, trusted=TRUSTED) == story.chain
    assert [type(message) for message in story.chain.messages] == list(SIGNERS)


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("other", PLACES)
def test_only_the_next_kind_of_message_is_taken(story: Any, at: int, other: int) -> None:
    chain = before(story, at)
    if at == other:
        assert accept(chain, story.chain.envelopes[at], trusted=TRUSTED).messages[-1] == story.chain.messages[at]
        return
    with pytest.raises(IntegrityFailure, match=f"Message {at} is a "):
        accept(chain, story.chain.envelopes[other], trusted=TRUSTED)


def test_nothing_follows_the_settlement(story: Any) -> None:
    with pytest.raises(IntegrityFailure, match="expected none"):
        accept(story.chain, resigned(story.chain.messages[-1]), trusted=TRUSTED)


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("forger", ["client", "provider", "coordinator", "stranger"])
def test_a_message_by_anybody_else_is_refused(story: Any, at: int, forger: str) -> None:
    message = story.chain.messages[at]
    envelope = seal(message, key(forger))
    if envelope == story.chain.envelopes[at]:
        return
    with pytest.raises(UnknownSigner):
        accept(before(story, at), envelope, trusted=TRUSTED)
    borrowed = replace(envelope, signer=story.chain.envelopes[at].signer)
    with pytest.raises(SignatureInvalid):
        accept(before(story, at), borrowed, trusted=TRUSTED)


@pytest.mark.parametrize("at", PLACES)
def test_a_changed_byte_of_payload_or_signature_is_refused(story: Any, at: int) -> None:
    envelope = story.chain.envelopes[at]
    for changed in (
        replace(envelope, signature=bytes([envelope.signature[0] ^ 1]) + envelope.signature[1:]),
        replace(envelope, signature=envelope.signature[:-1]),
        replace(envelope, payload=envelope.payload.replace(b"job-1", b"job-2")),
        replace(envelope, payload=envelope.payload + b" "),
        replace(envelope, payload_type=payload_type(Settled if at == 0 else Offer)),
        replace(envelope, payload_type="text/plain"),
    ):
        with pytest.raises(IntegrityFailure):
            accept(before(story, at), changed, trusted=TRUSTED)


@pytest.mark.parametrize("at", PLACES)
def test_a_well_signed_message_that_links_elsewhere_is_refused(story: Any, at: int) -> None:
    message = story.chain.messages[at]
    other = digest("test", b"another message")
    for link in (
        replace(message.link, sequence=at + 1),
        replace(message.link, previous=other),
        *((replace(message.link, previous=None), replace(message.link, job="job-2")) if at else ()),
    ):
        with pytest.raises(IntegrityFailure, match="does not link"):
            accept(before(story, at), resigned(replace(message, link=link)), trusted=TRUSTED)


def test_no_message_of_one_job_serves_in_another(story: Any) -> None:
    offer: Offer = story.chain.offer
    other = accept(EMPTY, resigned(replace(offer, link=replace(offer.link, job="job-2"))), trusted={})
    for at in range(1, len(SIGNERS)):
        with pytest.raises(IntegrityFailure):
            other = accept(other, story.chain.envelopes[at], trusted=TRUSTED)
        moved = replace(story.chain.messages[at], link=link_after("job-2", other.envelopes))
        other = accept(other, resigned(moved), trusted=TRUSTED)
    assert len(other.messages) == len(SIGNERS)


def test_a_coordinator_is_taken_only_if_it_is_trusted_and_named_by_the_offer(story: Any) -> None:
    stranger = key("stranger").public
    for trusted in ({}, {stranger.key_id: stranger}):
        with pytest.raises(UnknownSigner):
            read_chain(story.chain.envelopes, trusted=trusted)
    named = resigned(replace(story.chain.offer, coordinator=stranger.key_id))
    chain = accept(EMPTY, named, trusted=TRUSTED)
    commit = replace(story.chain.messages[1], link=chain.next_link())
    with pytest.raises(UnknownSigner):
        accept(chain, resigned(commit), trusted=TRUSTED | {stranger.key_id: stranger})


@pytest.mark.parametrize("spelled", ["", "zz", "AB" * 32, "00" * 32, "01" + "00" * 31])
def test_a_message_that_names_no_usable_key_is_refused(story: Any, spelled: str) -> None:
    offer = replace(story.chain.offer, client_key_hex=spelled)
    with pytest.raises(IntegrityFailure, match="no usable key"):
        accept(EMPTY, resigned(offer), trusted=TRUSTED)
    terms: Terms = replace(story.chain.messages[2], provider_key_hex=spelled)
    with pytest.raises(IntegrityFailure, match="no usable key"):
        accept(before(story, 2), resigned(terms), trusted=TRUSTED)


def test_an_offer_signed_with_another_key_than_it_names_is_refused(story: Any) -> None:
    other: PublicKey = key("stranger").public
    with pytest.raises(UnknownSigner):
        accept(EMPTY, resigned(replace(story.chain.offer, client_key_hex=other.hex)), trusted=TRUSTED)


def test_an_unknown_kind_and_a_payload_that_is_no_document_are_refused(story: Any) -> None:
    offer = document.to_bytes(story.chain.offer)
    for envelope in (
        sign(KEYS[Actor.CLIENT], "application/json", offer),
        sign(KEYS[Actor.CLIENT], payload_type(Offer), b"{}"),
        sign(KEYS[Actor.CLIENT], payload_type(Offer), b""),
        sign(KEYS[Actor.CLIENT], payload_type(Offer), offer.replace(b'"groups":3', b'"groups":0')),
    ):
        with pytest.raises(IntegrityFailure):
            peek(envelope)


def test_a_chain_says_what_it_lacks(story: Any) -> None:
    with pytest.raises(IntegrityFailure, match="no Settled"):
        before(story, 8).find(Settled)
    assert story.chain.next_link() == link_after("job-1", story.chain.envelopes)
