"""The protocol's messages, in order: what each party signs, and how messages chain.

Every message names its job, its place in the job's chain and the digest of the message before it, and is signed by
one party over its canonical bytes. Secrets of the manifest occur in `Reveal` and after it only.
Knows nothing of gRPC, storage or keys on disk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from node.core import document
from node.core.evidence import Evidence
from node.core.job import Actor, Deadlines
from node.core.manifest import Manifest, OpenedRow, check_reveal
from node.core.policy import Policy
from node.core.training import TrainingSpec
from node.core.verdict import Outcome, Verdict
from node.crypto.digest import Digest
from node.crypto.signing import Envelope, PrivateKey, PublicKey, sign, verify
from node.errors import IntegrityFailure, InvalidInput


@dataclass(frozen=True, slots=True)
class Money:
    """What a job costs and what each side locks, in minor units of one token.

    Attributes:
        price_minor: paid by the client to the provider on ACCEPT.
        stake_minor: locked by the provider; lost only for a provable fault.
        bond_minor: locked by the coordinator; at least the price, since it pays a provider that it leaves waiting.
        fee_minor: the coordinator's fee for evaluating, the same for every verdict.
        challenge_bond_minor: locked by both sides of a challenge.
        cancel_fee_minor: what the client pays the provider for cancelling after terms were signed.

    Raises:
        InvalidInput: `field` names the amount that is wrong.
    """

    token: str = "CREDIT"
    price_minor: int = 10_000
    stake_minor: int = 2_000
    bond_minor: int = 10_000
    fee_minor: int = 100
    challenge_bond_minor: int = 1_000
    cancel_fee_minor: int = 1_000

    def __post_init__(self) -> None:
        for field in (item.name for item in fields(self) if item.name.endswith("_minor")):
            amount = getattr(self, field)
            if not 0 <= amount <= 10**15:
                raise InvalidInput(f"Amount {field} is {amount}; it must lie between 0 and 10^15.", field=field)
        if self.price_minor == 0:
            raise InvalidInput("The price must be at least 1.", field="price_minor")
        for small, large in (
            ("price_minor", "bond_minor"),
            ("fee_minor", "price_minor"),
            ("fee_minor", "stake_minor"),
            ("fee_minor", "challenge_bond_minor"),
            ("challenge_bond_minor", "bond_minor"),
            ("cancel_fee_minor", "price_minor"),
        ):
            if getattr(self, small) > getattr(self, large):
                raise InvalidInput(f"Amount {small} must not exceed {large}.", field=small)


@dataclass(frozen=True, slots=True)
class Link:
    """A message's place: job, number from 0, and the digest of the envelope before it (None for the first).

    Raises:
        InvalidInput: the job's id is not one to name files, resources and requests after.
    """

    job: str
    sequence: int
    previous: Digest | None

    def __post_init__(self) -> None:
        if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", self.job):
            raise InvalidInput(
                "A job's id is at most 64 letters, digits, dots, dashes and underscores, a letter or digit first.",
                field="job",
            )


@dataclass(frozen=True, slots=True)
class Offer:
    """Step 0, by the client. `client_key_hex` is the Ed25519 key that signs it."""

    link: Link
    client_key_hex: str
    coordinator: str
    arbiter: str | None
    base_model: Digest
    dataset: Digest
    training: TrainingSpec
    policy: Policy
    money: Money
    deadlines: Deadlines


@dataclass(frozen=True, slots=True)
class Commit:
    """Step 1, by the coordinator, before any row leaves."""

    link: Link
    rows: int
    data_root: Digest
    manifest_root: Digest
    seed: Digest


@dataclass(frozen=True, slots=True)
class Terms:
    """Step 2, by the provider: countersigns offer and commit (`link.previous` binds both through the chain)."""

    link: Link
    provider_key_hex: str


@dataclass(frozen=True, slots=True)
class DataReceipt:
    """Step 3, by the provider: these rows arrived and have the committed root."""

    link: Link
    data_root: Digest


@dataclass(frozen=True, slots=True)
class AdapterCommit:
    """Step 4, by the provider: the digest of the adapter it made, before it learns anything about the marks."""

    link: Link
    adapter: Digest


@dataclass(frozen=True, slots=True)
class UploadReceipt:
    """Step 5, by the coordinator: the bytes arrived, match step 4 and passed the adapter gate."""

    link: Link
    adapter: Digest


@dataclass(frozen=True, slots=True)
class Reveal:
    """Step 6, by the coordinator: the whole manifest, and the planted and sent rows opened against the data root."""

    link: Link
    manifest: Manifest
    opened: tuple[OpenedRow, ...]


@dataclass(frozen=True, slots=True)
class VerdictGiven:
    """Step 7, by the coordinator."""

    link: Link
    evidence: Evidence
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Challenge:
    """Step 8, by the client or the provider: it disputes the verdict and puts up a bond.

    Raises:
        InvalidInput: `challenger` is neither.
    """

    link: Link
    challenger: Actor

    def __post_init__(self) -> None:
        if self.challenger not in (Actor.CLIENT, Actor.PROVIDER):
            raise InvalidInput("Only a job's client or provider challenges.", field="challenger")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What somebody observed, and the verdict that follows."""

    evidence: Evidence
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Ruling:
    """Step 8's answer, by the arbiter, whose key's id the offer names: its own judgement.

    None, if the coordinator withheld what that takes.
    """

    link: Link
    arbiter_key_hex: str
    judgement: Judgement | None


@dataclass(frozen=True, slots=True)
class Settled:
    """Step 9, by the coordinator: what the escrow paid to whom, in minor units, stakes and bonds included."""

    link: Link
    outcome: Outcome
    to_client_minor: int
    to_provider_minor: int
    to_coordinator_minor: int


Message = (
    Offer
    | Commit
    | Terms
    | DataReceipt
    | AdapterCommit
    | UploadReceipt
    | Reveal
    | VerdictGiven
    | Challenge
    | Ruling
    | Settled
)

#: Every kind of message, in protocol order, with the party that signs it; `ANYONE` is the one that the message names.
SIGNERS: dict[type[Any], Actor] = {
    Offer: Actor.CLIENT,
    Commit: Actor.COORDINATOR,
    Terms: Actor.PROVIDER,
    DataReceipt: Actor.PROVIDER,
    AdapterCommit: Actor.PROVIDER,
    UploadReceipt: Actor.COORDINATOR,
    Reveal: Actor.COORDINATOR,
    VerdictGiven: Actor.COORDINATOR,
    Challenge: Actor.ANYONE,
    Ruling: Actor.ARBITER,
    Settled: Actor.COORDINATOR,
}

#: What may follow each kind of message; None stands for the beginning. A silent arbiter leaves a challenge unanswered.
FOLLOWERS: dict[type[Any] | None, tuple[type[Any], ...]] = {
    None: (Offer,),
    Offer: (Commit,),
    Commit: (Terms,),
    Terms: (DataReceipt,),
    DataReceipt: (AdapterCommit,),
    AdapterCommit: (UploadReceipt,),
    UploadReceipt: (Reveal,),
    Reveal: (VerdictGiven,),
    VerdictGiven: (Challenge, Settled),
    Challenge: (Ruling, Settled),
    Ruling: (Settled,),
    Settled: (),
}


def payload_type(kind: type[Any]) -> str:
    return f"application/vnd.hallmark.v1.{kind.__name__}+json"


KINDS: dict[str, type[Any]] = {payload_type(kind): kind for kind in SIGNERS}


def seal(message: Message, key: PrivateKey) -> Envelope:
    """Signs a message over its canonical bytes."""
    return sign(key, payload_type(type(message)), document.to_bytes(message))


def link_after(job: str, chain: Sequence[Envelope]) -> Link:
    """The place of the next message of a job."""
    return Link(job, len(chain), chain[-1].digest if chain else None)


def peek(envelope: Envelope) -> Message:
    """Parses without checking the signature: only to learn which key to check it with.

    Raises:
        IntegrityFailure: unknown kind, or the payload is not canonical.
    """
    kind = KINDS.get(envelope.payload_type)
    if kind is None:
        raise IntegrityFailure(f"Unknown kind of message {envelope.payload_type!r}.", field="payload_type")
    message: Message = document.from_bytes(kind, envelope.payload)
    return message


@dataclass(frozen=True, slots=True)
class Chain:
    """A job's verified messages, in order. Build it with `read_chain`; extend it with `accept`."""

    envelopes: tuple[Envelope, ...]
    messages: tuple[Message, ...]

    def find(self, kind: type[Any]) -> Any:
        """The message of a kind.

        Raises:
            IntegrityFailure: the chain has none.
        """
        found = self.get(kind)
        if found is None:
            raise IntegrityFailure(f"The chain has no {kind.__name__}.")
        return found

    def get(self, kind: type[Any]) -> Any:
        """The message of a kind, or None."""
        return next((message for message in self.messages if isinstance(message, kind)), None)

    @property
    def offer(self) -> Offer:
        offer: Offer = self.find(Offer)
        return offer

    def next_link(self) -> Link:
        return link_after(self.offer.link.job, self.envelopes)


EMPTY = Chain((), ())


def read_chain(envelopes: Sequence[Envelope], *, trusted: Mapping[str, PublicKey]) -> Chain:
    """Verifies a whole chain of messages; see `accept`."""
    chain = EMPTY
    for envelope in envelopes:
        chain = accept(chain, envelope, trusted=trusted)
    return chain


def accept(chain: Chain, envelope: Envelope, *, trusted: Mapping[str, PublicKey]) -> Chain:
    """The chain with one more message, verified.

    1. Its kind may follow the last one's.
    2. Its signer is the party that must sign it: the client of the offer, the provider of the terms, the arbiter or a
       trusted coordinator whom the offer names. The signature verifies over the received bytes.
    3. It links to the message before it.

    Args:
        trusted: coordinators' keys by key id.

    Raises:
        IntegrityFailure, SignatureInvalid, UnknownSigner: naming what does not hold.
    """
    message = peek(envelope)
    # 1
    following = FOLLOWERS[type(chain.messages[-1]) if chain.messages else None]
    if type(message) not in following:
        raise IntegrityFailure(
            f"Message {len(chain.messages)} is a {type(message).__name__}, expected "
            f"{' or '.join(kind.__name__ for kind in following) or 'none'}.",
            field="payload_type",
        )
    # 2
    keys = _keys(chain, message, trusted)
    verify(envelope, payload_type=payload_type(type(message)), keys=keys)
    # 3
    job = chain.offer.link.job if chain.messages else message.link.job
    if message.link != link_after(job, chain.envelopes):
        raise IntegrityFailure(
            f"{type(message).__name__} does not link to the message before it.", job=job, field="link"
        )
    return Chain((*chain.envelopes, envelope), (*chain.messages, message))


def check_revealed(chain: Chain) -> None:
    """The public predicate over a chain's reveal: the manifest committed to, and it keeps the policy (`check_reveal`).

    Raises:
        IntegrityFailure: the first obligation that does not hold.
    """
    commit, reveal = chain.find(Commit), chain.find(Reveal)
    if reveal.manifest.rows != commit.rows:
        raise IntegrityFailure(
            f"The rows of the manifest are {reveal.manifest.rows}, expected {commit.rows}.",
            expected=commit.rows,
            actual=reveal.manifest.rows,
        )
    check_reveal(
        reveal.manifest,
        reveal.opened,
        policy=chain.offer.policy,
        data_root=commit.data_root,
        committed_root=commit.manifest_root,
        committed_seed=commit.seed,
    )


def _keys(chain: Chain, message: Message, trusted: Mapping[str, PublicKey]) -> dict[str, PublicKey]:
    signer = message.challenger if isinstance(message, Challenge) else SIGNERS[type(message)]
    match signer:
        case Actor.CLIENT:
            spelled = (message if isinstance(message, Offer) else chain.offer).client_key_hex
        case Actor.PROVIDER:
            spelled = (message if isinstance(message, Terms) else chain.find(Terms)).provider_key_hex
        case Actor.ARBITER if isinstance(message, Ruling):
            spelled = message.arbiter_key_hex
        case _:
            named = chain.offer.coordinator
            return {named: trusted[named]} if named in trusted else {}
    try:
        key = PublicKey.from_hex(spelled)
    except InvalidInput as refusal:
        raise IntegrityFailure(f"{type(message).__name__} names no usable key. {refusal}", field="key") from refusal
    if signer is Actor.ARBITER and key.key_id != chain.offer.arbiter:
        return {}
    return {key.key_id: key}
