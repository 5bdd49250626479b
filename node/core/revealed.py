"""What a job hid in its data, out of a file that its parties hold: the messages up to its reveal, or its receipt.

Believes nothing that is not signed. Whether a verdict in the file holds is asked by `node.core.receipt` alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from node.core import receipt
from node.core.messages import Chain, check_revealed, read_chain
from node.crypto.digest import canonical_bytes, parse_canonical
from node.crypto.signing import Envelope, PublicKey
from node.errors import IntegrityFailure

FORMAT = "hallmark.messages.v1"


def to_bytes(chain: Chain) -> bytes:
    """The file of a job's messages so far."""
    return canonical_bytes({"format": FORMAT, "messages": [envelope.to_json() for envelope in chain.envelopes]})


def from_bytes(data: bytes, *, trusted: Mapping[str, PublicKey]) -> Chain:
    """Reads such a file, or a receipt.

    1. It is the canonical spelling of either.
    2. Its messages chain, each signed by the party that must sign it; the coordinator is trusted.
    3. The reveal is among them, is the one committed to, and keeps the policy.

    Args:
        trusted: coordinators' keys by key id.

    Raises:
        UnknownSigner: the coordinator is not trusted.
        IntegrityFailure: the first obligation that does not hold.
    """
    # 1
    match parse_canonical(data):
        case {"format": receipt.FORMAT}:
            messages = receipt.from_bytes(data).messages
        case {"format": str(kind), "messages": list(items), **others} if kind == FORMAT and not others:
            messages = tuple(Envelope.from_json(item) for item in items)
        case _:
            raise IntegrityFailure("This file is neither a receipt nor a job's messages.", field="format")
    # 2
    chain = read_chain(messages, trusted=trusted)
    # 3
    check_revealed(chain)
    return chain
