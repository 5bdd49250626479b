"""A receipt checked offline: it holds as it is, and no other bytes hold in its place."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from fakes.world import BASE_MODEL, key

from node.core import receipt
from node.core.checkpoint import Checkpoint, LogEntry, sign_checkpoint
from node.core.evidence import PairObservation
from node.core.job import Actor
from node.core.manifest import proof_to_hex
from node.core.messages import (
    SIGNERS,
    AdapterCommit,
    Challenge,
    DataReceipt,
    Judgement,
    Offer,
    Reveal,
    Ruling,
    Settled,
    VerdictGiven,
    link_after,
    seal,
)
from node.core.receipt import Receipt, Trust, log_leaf
from node.core.ruling import Standing
from node.core.verdict import Outcome, decide
from node.crypto.digest import canonical_bytes, digest
from node.crypto.merkle import Tree
from node.crypto.signing import Envelope
from node.errors import IntegrityFailure, UnknownSigner

STRIDE = 499
KEYS = {name: key(name) for name in ("client", "provider", "coordinator", "arbiter", "log")}
OTHER = digest("test", b"other")


def refused(data: bytes, trust: Trust) -> IntegrityFailure:
    with pytest.raises(IntegrityFailure) as refusal:
        receipt.check(data, trust)
    return refusal.value


def test_an_honest_receipt_holds_and_says_what_was_decided(story: Any) -> None:
    checked = receipt.check(story.receipt, story.trust)
    assert checked.verdict == story.chain.find(VerdictGiven).verdict
    assert checked.verdict.outcome is Outcome.ACCEPT
    assert checked.chain == story.chain
    assert checked.checkpoint.size == len(story.chain.messages)
    assert checked.standing == Standing(Outcome.ACCEPT)


def test_reading_and_writing_a_receipt_gives_the_same_bytes(story: Any) -> None:
    assert receipt.to_bytes(receipt.from_bytes(story.receipt)) == story.receipt


def test_any_one_byte_changed_is_refused(story: Any) -> None:
    """Every byte outside the messages, and every `STRIDE`-th of them, with one of its bits turned."""
    data: bytes = story.receipt
    start, end = data.index(b'"messages":['), data.index(b"]", data.index(b'"messages":['))
    places = [*range(start), *range(start, end, STRIDE), *range(end, len(data))]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        refused(bytes(changed), story.trust)


def test_bytes_missing_or_added_anywhere_are_refused(story: Any) -> None:
    data: bytes = story.receipt
    for place in [*range(0, len(data), 997), len(data) - 1]:
        refused(data[:place] + data[place + 1 :], story.trust)
        refused(data[:place] + b"A" + data[place:], story.trust)
        refused(data[:place], story.trust)
    refused(data + b"\n", story.trust)


def test_another_spelling_of_the_same_json_is_refused(story: Any) -> None:
    value = json.loads(story.receipt)
    for spelled in (
        json.dumps(value),
        json.dumps(value, indent=1),
        json.dumps(value, separators=(",", ":")),
        json.dumps(dict(reversed(value.items())), separators=(",", ":")),
        story.receipt.decode().replace('"format"', '"\\u0066ormat"'),
        story.receipt.decode()[:-1] + ',"format":"hallmark.receipt.v1"}',
    ):
        if spelled.encode() != story.receipt:
            refused(spelled.encode(), story.trust)


def test_another_spelling_of_the_same_base64_is_refused(story: Any) -> None:
    value = json.loads(story.receipt)
    tried = 0
    for message in [*value["messages"], value["checkpoint"]]:
        for field in ("payload", "signature"):
            good = message[field]
            for spelled in (good + "\n", good.rstrip("=") + "=" * 4, _turned_spare_bit(good)):
                if spelled == good:
                    continue
                message[field] = spelled
                refused(canonical_bytes(value), story.trust)
                tried += 1
            message[field] = good
    assert tried >= 40
    assert canonical_bytes(value) == story.receipt


def _turned_spare_bit(text: str) -> str:
    """The same bytes to a lax decoder: the bits before the padding carry nothing."""
    if not text.endswith("="):
        return text
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = text.rstrip("=")
    turned = body[:-1] + alphabet[alphabet.index(body[-1]) ^ 1] + text[len(body) :]
    assert base64.b64decode(turned) == base64.b64decode(text)
    return turned


def test_swapped_missing_and_repeated_messages_are_refused(story: Any) -> None:
    whole = receipt.from_bytes(story.receipt)
    count = len(whole.messages)
    orders = [[1, 0, *range(2, count)], [*range(count - 1)], [0, *range(count)], list(reversed(range(count)))]
    orders += [[*range(at), at + 1, at, *range(at + 2, count)] for at in range(count - 1)]
    for order in orders:
        both = replace(
            whole, messages=tuple(whole.messages[at] for at in order), entries=tuple(whole.entries[at] for at in order)
        )
        refused(receipt.to_bytes(both), story.trust)
        refused(receipt.to_bytes(replace(whole, messages=both.messages)), story.trust)


def test_a_coordinator_or_a_log_that_nobody_vouches_for_is_unknown_and_never_ok(story: Any) -> None:
    stranger = {key("stranger").public.key_id: key("stranger").public}
    for trust in (
        Trust({}, story.trust.logs),
        Trust(story.trust.coordinators, {}),
        Trust({}, {}),
        Trust(stranger, story.trust.logs),
        Trust(story.trust.coordinators, stranger),
        Trust(story.trust.logs, story.trust.coordinators),
    ):
        assert type(refused(story.receipt, trust)) is UnknownSigner


def test_a_file_of_another_kind_is_refused(story: Any) -> None:
    value = json.loads(story.receipt)
    for other in (
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        canonical_bytes({**value, "format": "hallmark.receipt.v2"}),
        canonical_bytes({**value, "extra": 1}),
        canonical_bytes({name: item for name, item in value.items() if name != "entries"}),
        canonical_bytes({**value, "messages": {}}),
        canonical_bytes({**value, "checkpoint": []}),
        canonical_bytes({**value, "messages": [], "entries": []}),
    ):
        refused(other, story.trust)


# A coordinator that lies with its own keys: everything is signed, linked and logged anew; the content gives it away.


def forged(messages: Sequence[Any], *, origin: str | None = None) -> bytes:
    chain: tuple[Envelope, ...] = ()
    for message in messages:
        part = message.challenger if isinstance(message, Challenge) else SIGNERS[type(message)]
        chain = (*chain, seal(replace(message, link=link_after("job-1", chain)), KEYS[part.value]))
    tree = Tree(map(log_leaf, chain))
    checkpoint = Checkpoint(origin or KEYS["coordinator"].public.key_id, tree.size, tree.root, 0)
    entries = tuple(LogEntry(at, proof_to_hex(tree.inclusion(at))) for at in range(tree.size))
    return receipt.to_bytes(Receipt(chain, entries, sign_checkpoint(checkpoint, KEYS["log"])))


def with_change(story: Any, kind: type, **changes: Any) -> bytes:
    return forged(
        [replace(message, **changes) if isinstance(message, kind) else message for message in story.chain.messages]
    )


def test_a_receipt_put_together_anew_from_honest_messages_holds(story: Any) -> None:
    assert receipt.check(forged(story.chain.messages), story.trust).verdict.outcome is Outcome.ACCEPT


def test_a_log_of_another_origin_is_refused(story: Any) -> None:
    assert "log origin" in str(refused(forged(story.chain.messages, origin="somebody"), story.trust))


def test_data_and_adapter_must_stay_the_same_along_the_chain(story: Any) -> None:
    assert "data root" in str(refused(with_change(story, DataReceipt, data_root=OTHER), story.trust))
    assert "adapter uploaded" in str(refused(with_change(story, AdapterCommit, adapter=OTHER), story.trust))


def test_evidence_about_another_adapter_or_base_model_is_refused(story: Any) -> None:
    evidence = story.evidence
    other = replace(evidence, adapter=OTHER)
    assert "adapter evaluated" in str(refused(with_change(story, VerdictGiven, evidence=other), story.trust))
    other = replace(evidence, transcript=replace(evidence.transcript, base_model=OTHER))
    assert "base model evaluated" in str(refused(with_change(story, VerdictGiven, evidence=other), story.trust))
    assert evidence.transcript.base_model == BASE_MODEL


def test_a_reveal_that_fails_its_predicate_is_refused(story: Any) -> None:
    manifest = replace(story.manifest, isolation_cost_percent=1000)
    assert "manifest root" in str(refused(with_change(story, Reveal, manifest=manifest), story.trust))
    longer = replace(story.manifest, rows=story.manifest.rows + 1)
    assert "rows of the manifest" in str(refused(with_change(story, Reveal, manifest=longer), story.trust))
    assert "opened rows" in str(refused(with_change(story, Reveal, opened=story.opened[1:]), story.trust))


def test_a_verdict_that_does_not_follow_from_its_evidence_is_refused(story: Any) -> None:
    verdict = story.chain.find(VerdictGiven).verdict
    for other in (
        replace(verdict, outcome=Outcome.REJECT),
        replace(verdict, log_p_micronats=verdict.log_p_micronats - 10),
        replace(verdict, notes=()),
    ):
        assert "does not follow" in str(refused(with_change(story, VerdictGiven, verdict=other), story.trust))
    lost = tuple(PairObservation(0, 0, 0, 0) for _ in story.evidence.pairs)
    changed = replace(story.evidence, pairs=lost)
    assert "does not follow" in str(refused(with_change(story, VerdictGiven, evidence=changed), story.trust))


def test_money_that_went_elsewhere_than_the_verdict_sends_it_is_refused(story: Any) -> None:
    settled: Settled = story.chain.find(Settled)
    assert (settled.to_client_minor, settled.to_provider_minor, settled.to_coordinator_minor) == (0, 11_900, 10_100)
    for changes in (
        {"outcome": Outcome.REJECT},
        {"to_client_minor": 1},
        {"to_client_minor": 11_900, "to_provider_minor": 0},
        {"to_provider_minor": 11_899, "to_coordinator_minor": 10_101},
        {"to_coordinator_minor": 10_099},
    ):
        assert "settled" in str(refused(with_change(story, Settled, **changes), story.trust))


# Disputes


def told(dispute: Any, **changes: Any) -> list[Any]:
    """The dispute's messages; `challenge`, `ruling`, `verdict`, `settled` change those fields, None leaves one out."""
    kinds = {"challenge": Challenge, "ruling": Ruling, "verdict": VerdictGiven, "settled": Settled}
    messages = []
    for message in dispute.chain.messages:
        name = next((name for name, kind in kinds.items() if isinstance(message, kind)), "")
        if changes.get(name, {}) is not None:
            messages.append(replace(message, **changes.get(name, {})))
    return messages


def test_a_disputed_receipt_holds_and_says_who_lost(dispute: Any) -> None:
    checked = receipt.check(dispute.receipt, dispute.trust)
    assert checked.standing == Standing(Outcome.ACCEPT, Actor.CLIENT)
    assert [type(message) for message in checked.chain.messages] == list(SIGNERS)
    assert receipt.check(forged(told(dispute)), dispute.trust).standing == checked.standing


def test_a_challenge_that_nobody_answered_costs_nobody(dispute: Any) -> None:
    silent = told(dispute, ruling=None, settled={"to_client_minor": 1_000})
    assert receipt.check(forged(silent), dispute.trust).standing == Standing(Outcome.ACCEPT)
    assert "client" in str(refused(forged(told(dispute, ruling=None)), dispute.trust))


def test_an_overturned_verdict_pays_by_the_arbiters_and_out_of_the_coordinators_bond(dispute: Any) -> None:
    evidence = replace(
        dispute.evidence, answers=tuple(replace(answer, adapter=answer.base) for answer in dispute.evidence.answers)
    )
    verdict = decide(dispute.chain.offer.policy, dispute.manifest, evidence)
    assert verdict.outcome is Outcome.REJECT
    ruled = {"judgement": Judgement(evidence, verdict)}
    paid = {
        "outcome": Outcome.REJECT,
        "to_client_minor": 11_000,
        "to_provider_minor": 1_900,
        "to_coordinator_minor": 9_100,
    }
    checked = receipt.check(forged(told(dispute, ruling=ruled, settled=paid)), dispute.trust)
    assert checked.standing == Standing(Outcome.REJECT, Actor.COORDINATOR)
    assert checked.verdict.outcome is Outcome.ACCEPT
    for wrong in ({**paid, "to_coordinator_minor": 10_100}, {**paid, "outcome": Outcome.ACCEPT}, {}):
        assert "settled" in str(refused(forged(told(dispute, ruling=ruled, settled=wrong)), dispute.trust))
    lying = {"judgement": Judgement(evidence, dispute.chain.find(VerdictGiven).verdict)}
    assert "does not follow" in str(refused(forged(told(dispute, ruling=lying)), dispute.trust))


def test_a_ruling_is_about_this_adapter_and_this_base_model(dispute: Any) -> None:
    judgement: Judgement = dispute.chain.find(Ruling).judgement
    for what, changes in (
        ("adapter", {"adapter": OTHER}),
        ("base model", {"transcript": replace(judgement.evidence.transcript, base_model=OTHER)}),
    ):
        other = {"judgement": replace(judgement, evidence=replace(judgement.evidence, **changes))}
        assert f"{what} evaluated" in str(refused(forged(told(dispute, ruling=other)), dispute.trust))


def test_a_ruling_by_another_key_than_the_one_that_the_terms_name_is_refused(dispute: Any) -> None:
    other = {"arbiter_key_hex": KEYS["client"].public.hex}
    assert type(refused(forged(told(dispute, ruling=other)), dispute.trust)) is UnknownSigner
    for named in (KEYS["log"].public.key_id, None):
        messages = [
            replace(message, arbiter=named) if isinstance(message, Offer) else message for message in told(dispute)
        ]
        assert type(refused(forged(messages), dispute.trust)) is UnknownSigner
