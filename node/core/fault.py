"""Faults that anybody can prove who holds the signed messages, and the proof as a document.

Three have a witness: an adapter that its provider committed to and that the gate refuses; a reveal that its coordinator
signed and that fails the public predicate; a coordinator that says two things (`node.core.equivocation`).
Bytes that never came, or others than those committed to, have none: an upload is content-addressed, so wrong bytes are
refused and nothing happened, and who withheld right ones nobody can tell. Nor is a provider's second commitment one:
whoever dies between signing and sending may have to sign again, and only one of them is ever taken.
Does no I/O: what an adapter's bytes are, and what the gate says of them, the caller's function knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from node.core import equivocation
from node.core.adapter import adapter_identity
from node.core.checkpoint import CHECKPOINT_TYPE, open_checkpoint
from node.core.equivocation import Equivocation
from node.core.job import Actor
from node.core.messages import AdapterCommit, Chain, Reveal, Terms, check_revealed, peek, read_chain
from node.core.receipt import Trust
from node.core.training import TrainingSpec
from node.crypto.digest import Digest, Json, canonical_bytes, parse_canonical
from node.crypto.signing import Envelope
from node.errors import IntegrityFailure, InvalidInput

FORMAT = "hallmark.fault.v1"

Gate = Callable[[Mapping[str, Digest], TrainingSpec], None]
"""Holds an adapter, its files by their digests, against the gate. Raises InvalidInput if that refuses it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A proof: a job's messages, at least as far as its terms, and what else it takes.

    Attributes:
        files: the adapter's, by name, if the gate refuses them.
        equivocation: what the coordinator contradicts itself with. Neither, if the fault is the reveal.
    """

    messages: tuple[Envelope, ...]
    files: Mapping[str, Digest] | None = None
    equivocation: Equivocation | None = None


@dataclass(frozen=True, slots=True)
class Proven:
    """Who broke the protocol in which job, under which terms (the envelope's digest); `told` says how."""

    job: str
    terms: Digest
    accused: Actor
    told: str


def to_bytes(fault: Fault) -> bytes:
    files: Json = None if fault.files is None else {name: str(digest) for name, digest in fault.files.items()}
    return canonical_bytes(
        {
            "format": FORMAT,
            "messages": [envelope.to_json() for envelope in fault.messages],
            "files": files,
            "equivocation": None if fault.equivocation is None else equivocation.to_json(fault.equivocation),
        }
    )


def from_bytes(data: bytes) -> Fault:
    """Reads a proof; every byte must be that of its canonical re-encoding.

    Raises:
        IntegrityFailure: it is not.
    """
    match parse_canonical(data):
        case {"format": "hallmark.fault.v1", "messages": list(messages), "files": files, "equivocation": told}:
            fault = Fault(
                tuple(Envelope.from_json(item) for item in messages),
                None if files is None else _files(files),
                None if told is None else equivocation.from_json(told),
            )
        case _:
            raise IntegrityFailure("This is not a proof of a fault.", field="$")
    if to_bytes(fault) != data:
        raise IntegrityFailure("This is not the canonical spelling of the proof that it holds.")
    return fault


def check(data: bytes, *, trust: Trust, gate: Gate) -> Proven:
    """What a proof proves.

    1. It is the canonical spelling of a proof.
    2. Its messages chain and verify, and signed terms are among them.
    3. The fault: the gate refuses the very adapter that was committed to; or the coordinator whom the offer names
       contradicted itself, about this job or in its log; or the last message is a reveal that fails its predicate.

    Raises:
        IntegrityFailure: the first obligation that does not hold: nothing is proven.
    """
    # 1
    fault = from_bytes(data)
    # 2
    chain = read_chain(fault.messages, trusted=trust.coordinators)
    terms = chain.envelopes[chain.messages.index(chain.find(Terms))].digest
    # 3
    if fault.files is not None:
        accused, told = Actor.PROVIDER, _refused(chain, fault.files, gate)
    elif fault.equivocation is not None:
        accused, told = Actor.COORDINATOR, _contradicted(chain, fault.equivocation, trust)
    else:
        accused, told = Actor.COORDINATOR, _ill_revealed(chain)
    return Proven(chain.offer.link.job, terms, accused, told)


def _refused(chain: Chain, files: Mapping[str, Digest], gate: Gate) -> str:
    committed, identity = chain.find(AdapterCommit).adapter, adapter_identity(files)
    if identity != committed:
        raise IntegrityFailure("The provider committed to another adapter.", expected=str(committed))
    try:
        gate(files, chain.offer.training)
    except InvalidInput as refusal:
        return f"The adapter that the provider committed to does not pass the gate. {refusal.message}"
    raise IntegrityFailure("The gate lets this adapter pass.", actual=str(identity))


def _contradicted(chain: Chain, told: Equivocation, trust: Trust) -> str:
    proven = equivocation.check(equivocation.to_bytes(told), trust)
    if told.first.payload_type == CHECKPOINT_TYPE:
        about, expected = open_checkpoint(told.first, logs=trust.logs).origin, chain.offer.coordinator
    else:
        about, expected = peek(told.first).link.job, chain.offer.link.job
    if about != expected:
        raise IntegrityFailure("This is no contradiction about this job.", expected=expected, actual=about)
    return proven


def _ill_revealed(chain: Chain) -> str:
    if not isinstance(chain.messages[-1], Reveal):
        raise IntegrityFailure("These messages show no fault.")
    try:
        check_revealed(chain)
    except IntegrityFailure as failure:
        return f"The coordinator's reveal fails its predicate. {failure.message}"
    raise IntegrityFailure("The reveal keeps the policy.")


def _files(value: Json) -> dict[str, Digest]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise IntegrityFailure("An adapter's files are digests by name.", field="files")
    try:
        return {name: Digest.parse(str(text)) for name, text in value.items()}
    except InvalidInput as refusal:
        raise IntegrityFailure(f"A file's digest is none. {refusal}", field="files") from refusal
