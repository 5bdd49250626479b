"""The receipt: a job's signed messages and their places in the node's log, from which anybody recomputes the verdict.

It proves that the verdict follows from the signed evidence, not that the evidence is true. Does no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from node.core import document
from node.core.checkpoint import Checkpoint, LogEntry, check_included, open_checkpoint
from node.core.job import Actor
from node.core.messages import (
    AdapterCommit,
    Chain,
    Challenge,
    Commit,
    DataReceipt,
    Offer,
    Ruling,
    Settled,
    Terms,
    UploadReceipt,
    VerdictGiven,
    check_revealed,
    read_chain,
)
from node.core.ruling import Standing, check_judgement, standing
from node.core.verdict import Outcome, Verdict
from node.crypto.digest import Json, canonical_bytes, parse_canonical
from node.crypto.signing import Envelope, PublicKey
from node.errors import IntegrityFailure

FORMAT = "hallmark.receipt.v1"


@dataclass(frozen=True, slots=True)
class Receipt:
    messages: tuple[Envelope, ...]
    entries: tuple[LogEntry, ...]
    checkpoint: Envelope


@dataclass(frozen=True, slots=True)
class Trust:
    """Keys that a verifier of receipts pins, by key id."""

    coordinators: Mapping[str, PublicKey]
    logs: Mapping[str, PublicKey]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a receipt says once all its obligations hold: the coordinator's verdict, and what stood in the end."""

    chain: Chain
    verdict: Verdict
    standing: Standing
    settled: Settled
    checkpoint: Checkpoint


def log_leaf(envelope: Envelope) -> bytes:
    """A message as it stands in the node's log."""
    return canonical_bytes(envelope.to_json())


def to_bytes(receipt: Receipt) -> bytes:
    return canonical_bytes(
        {
            "format": FORMAT,
            "messages": [envelope.to_json() for envelope in receipt.messages],
            "entries": [document.to_json(entry) for entry in receipt.entries],
            "checkpoint": receipt.checkpoint.to_json(),
        }
    )


def from_bytes(data: bytes) -> Receipt:
    """Reads a receipt file; every byte must be that of its canonical re-encoding.

    Raises:
        IntegrityFailure: it is not.
    """
    parsed = parse_canonical(data)
    match parsed:
        case {"format": str(kind), "messages": list(messages), "entries": list(entries), "checkpoint": checkpoint}:
            pass
        case _:
            raise IntegrityFailure("This file is not a receipt.", field="$")
    if kind != FORMAT:
        raise IntegrityFailure(f"This receipt has format {kind!r}; this version reads {FORMAT!r}.", field="format")
    receipt = Receipt(
        messages=tuple(Envelope.from_json(item) for item in messages),
        entries=tuple(_entry(item, at) for at, item in enumerate(entries)),
        checkpoint=Envelope.from_json(checkpoint),
    )
    if to_bytes(receipt) != data:
        raise IntegrityFailure("This file is not the canonical spelling of the receipt that it holds.")
    return receipt


def check(data: bytes, trust: Trust) -> Checked:
    """Verifies a receipt file offline.

    1. The file is the canonical spelling of a receipt.
    2. Its checkpoint is signed by a trusted log, and every message is included in that log.
    3. Its messages chain, in protocol order, each signed by the party that must sign it; the coordinator is trusted,
       and nobody plays two parts.
    4. Data root and adapter digest stay the same along the chain.
    5. The revealed manifest is the one committed to and keeps the policy (`check_revealed`).
    6. The evidence is about that adapter and that base model, and the verdict follows from it; the arbiter's likewise,
       if one ruled.
    7. What was settled follows from what stands.

    Raises:
        UnknownSigner: signed by a coordinator or log that is not trusted. Never to be read as OK.
        IntegrityFailure: the first obligation that does not hold.
    """
    # 1
    receipt = from_bytes(data)
    # 2
    checkpoint = open_checkpoint(receipt.checkpoint, logs=trust.logs)
    _check_log(receipt, checkpoint)
    # 3
    chain = read_chain(receipt.messages, trusted=trust.coordinators)
    offer, commit = chain.offer, chain.find(Commit)
    _check_parties(offer, chain.find(Terms))
    _same("log origin", checkpoint.origin, offer.coordinator)
    # 4
    _same("data root received", chain.find(DataReceipt).data_root, commit.data_root)
    adapter = chain.find(AdapterCommit).adapter
    _same("adapter uploaded", chain.find(UploadReceipt).adapter, adapter)
    # 5
    check_revealed(chain)
    # 6
    given: VerdictGiven = chain.find(VerdictGiven)
    check_judgement(chain, given.evidence, given.verdict)
    ruling: Ruling | None = chain.get(Ruling)
    if ruling is not None and ruling.judgement is not None:
        check_judgement(chain, ruling.judgement.evidence, ruling.judgement.verdict)
    # 7
    settled: Settled = chain.find(Settled)
    stands = standing(chain)
    _check_settlement(settled, stands, chain)
    return Checked(chain, given.verdict, stands, settled, checkpoint)


def _check_log(receipt: Receipt, checkpoint: Checkpoint) -> None:
    _same("log entries", len(receipt.entries), len(receipt.messages))
    for envelope, entry in zip(receipt.messages, receipt.entries, strict=True):
        check_included(log_leaf(envelope), entry, checkpoint)


def _check_parties(offer: Offer, terms: Terms) -> None:
    keys = (PublicKey.from_hex(text).key_id for text in (offer.client_key_hex, terms.provider_key_hex))
    parties = [*keys, offer.coordinator, *([offer.arbiter] if offer.arbiter else [])]
    _same("number of parties", len(set(parties)), len(parties))


def _check_settlement(settled: Settled, stands: Standing, chain: Chain) -> None:
    """Price, stake and bonds went where this outcome sends them; only who pays the fee differs."""
    money = chain.offer.money
    price, stake, fee, at_risk = money.price_minor, money.stake_minor, money.fee_minor, money.challenge_bond_minor
    to_client, to_provider = {
        Outcome.ACCEPT: (0, price - fee + stake),
        Outcome.REJECT: (price, stake - fee),
        Outcome.INCONCLUSIVE: (price - fee, stake),
    }[stands.outcome]
    challenge: Challenge | None = chain.get(Challenge)
    returned = challenge.challenger if challenge and stands.loser is not challenge.challenger else None
    burned = at_risk if stands.loser is Actor.COORDINATOR else 0
    for what, actual, expected in (
        ("outcome settled", settled.outcome, stands.outcome),
        ("amount settled on the client", settled.to_client_minor, to_client + at_risk * (returned is Actor.CLIENT)),
        (
            "amount settled on the provider",
            settled.to_provider_minor,
            to_provider + at_risk * (returned is Actor.PROVIDER),
        ),
        ("amount settled on the coordinator", settled.to_coordinator_minor, money.bond_minor + fee - burned),
    ):
        _same(what, actual, expected)


def _entry(data: Json, at: int) -> LogEntry:
    return document.from_json(LogEntry, data, path=f"$.entries[{at}]")


def _same(what: str, actual: object, expected: object) -> None:
    if actual != expected:
        raise IntegrityFailure(
            f"The receipt does not hold: {what} is {actual}, expected {expected}.",
            expected=str(expected),
            actual=str(actual),
        )
