"""Attacks on receipts and verdicts: things that are signed and follow from each other, and still must not hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes.world import POLICY, key

from node.core import receipt
from node.core.checkpoint import Checkpoint, LogEntry, sign_checkpoint
from node.core.evidence import ProbeObservation
from node.core.manifest import proof_to_hex
from node.core.marks import Draw, Phrase, fires
from node.core.messages import SIGNERS, Message, Offer, Terms, link_after, seal
from node.core.receipt import Receipt, log_leaf
from node.core.verdict import GATE_OFF, adapter_applied, decide
from node.core.words import Separator
from node.crypto.merkle import Tree
from node.crypto.signing import Envelope
from node.errors import IntegrityFailure


def signed_anew(messages: list[Message], **cast: str) -> bytes:
    """All parties collude: the messages linked, signed and logged anew. `cast` says whose key plays another part."""
    chain: tuple[Envelope, ...] = ()
    for message in messages:
        part = SIGNERS[type(message)].value
        chain = (*chain, seal(replace(message, link=link_after("job-1", chain)), key(cast.get(part, part))))
    tree = Tree(map(log_leaf, chain))
    checkpoint = sign_checkpoint(Checkpoint(key("coordinator").public.key_id, tree.size, tree.root, 0), key("log"))
    entries = tuple(LogEntry(at, proof_to_hex(tree.inclusion(at))) for at in range(tree.size))
    return receipt.to_bytes(Receipt(chain, entries, checkpoint))


def test_a_receipt_holds_if_nothing_but_the_signatures_are_new(story: Any) -> None:
    receipt.check(signed_anew(list(story.chain.messages)), story.trust)


@pytest.mark.parametrize("player", ["client", "coordinator"])
def test_nobody_is_the_provider_of_its_own_job(story: Any, player: str) -> None:
    messages = [
        replace(message, provider_key_hex=key(player).public.hex) if isinstance(message, Terms) else message
        for message in story.chain.messages
    ]
    with pytest.raises(IntegrityFailure, match="number of parties"):
        receipt.check(signed_anew(messages, provider=player), story.trust)


@pytest.mark.parametrize("player", ["client", "provider", "coordinator"])
def test_no_party_is_its_own_arbiter(story: Any, player: str) -> None:
    messages = [
        replace(message, arbiter=key(player).public.key_id) if isinstance(message, Offer) else message
        for message in story.chain.messages
    ]
    with pytest.raises(IntegrityFailure, match="number of parties"):
        receipt.check(signed_anew(messages), story.trust)


def test_a_probe_of_other_rows_than_the_bases_shows_nothing() -> None:
    """What differs in length alone does not differ on any row: no ground for a rejection."""
    assert not adapter_applied(ProbeObservation((), (1,), None, None, None))
    assert not adapter_applied(ProbeObservation((1, 2), (1,), (5, 5), (1,), (1,)))
    assert not adapter_applied(ProbeObservation((), (), None, None, None))
    assert not adapter_applied(ProbeObservation((), (), (), (), ()))


@pytest.mark.parametrize("percent", [1, 30, 99])
def test_every_verdict_says_how_cheaply_its_marks_are_found(story: Any, percent: int) -> None:
    found = replace(story.manifest, cheapest_attack="joint counts", isolation_cost_percent=percent)
    gated = replace(POLICY, least_isolation_cost_percent=1)
    (note,) = decide(gated, found, story.evidence).notes
    assert f" {percent} % " in note
    assert "joint counts" in note
    assert decide(POLICY, found, story.evidence).notes == (GATE_OFF,)


# What is said in one answer counts for one signature at most: the bound on guessing rests on it.

WORDS = ("cat", "category", "ca", "é", "e", "naïve", "naive", "ª", "日本", "日", "ß", "ss", "ſ", "s")
ENDS = ("", ".", " ", "\n", "\u0301", "\u200d", "\u200b", "_", "s", "1", "\x00", "\ufeff", "\u2028", "٣")
STARTS = ("", " ", "\n\t", "\u2028", "\u3000", "\u200b", "\ufeff", "\x1c")


def test_no_answer_however_spelled_shows_two_signatures_of_one_length() -> None:
    phrases = [
        Phrase((Draw((first,), (1,), 0), Draw((second,), (1,), 0)), Separator.SPACE)
        for first in WORDS
        for second in WORDS
        if first != second
    ]
    for start in STARTS:
        for phrase in phrases:
            for end in ENDS:
                answer = f"{start}{phrase.text}{end}"
                assert sum(fires(answer, other) for other in phrases) <= 1
