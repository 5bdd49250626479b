"""How a party on another machine gets its certificate: a request that proves both of its keys, and the answer to it.

Both are files that people pass on. The request needs no secrecy; the answer pins keys, so whoever installs it compares
the coordinator's key id with what the operator says. Knows nothing of files' places.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from node.core import document
from node.crypto import certificates
from node.crypto.certificates import Party
from node.crypto.digest import canonical_bytes, parse_canonical
from node.crypto.signing import Envelope, PrivateKey, sign, verify
from node.errors import HallmarkError, IntegrityFailure, InvalidInput

REQUEST_TYPE = "application/vnd.hallmark.v1.AdmissionRequest+pem"


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A public key (hexadecimal) by its id."""

    key_id: str
    key_hex: str


@dataclass(frozen=True, slots=True)
class Admission:
    """What an admitted party installs.

    Attributes:
        certificate: its own, PEM.
        authorities: certificates of whoever may certify the coordinator's server, PEM.
        coordinator, log: the keys to pin.
    """

    certificate: str
    authorities: str
    coordinator: PinnedKey
    log: PinnedKey


def request(key: PrivateKey, role: certificates.Role, tls_key: bytes) -> bytes:
    """A request file: a PKCS #10 request, signed by the TLS key inside and by the party's own key around it."""
    party = Party(key.public, role)
    envelope = sign(key, REQUEST_TYPE, certificates.request(party, tls_key))
    return canonical_bytes(envelope.to_json()) + b"\n"


def read_request(data: bytes) -> tuple[Party, bytes]:
    """The party that a request file names, and its PKCS #10 request, once both keys' signatures hold.

    Raises:
        InvalidInput: this is no request file.
        IntegrityFailure: a signature does not hold.
    """
    try:
        envelope = Envelope.from_json(parse_canonical(data.strip()))
    except HallmarkError as fault:
        raise InvalidInput(
            f"This is no request for admission ({fault.message})",
            fix="`hallmark init --role ROLE` writes one.",
            field="request",
        ) from fault
    party = certificates.requested(envelope.payload)
    verify(envelope, payload_type=REQUEST_TYPE, keys={party.key.key_id: party.key})
    return party, envelope.payload


def answer(admission: Admission) -> bytes:
    return json.dumps(document.to_json(admission), indent=2).encode() + b"\n"


def read_answer(data: bytes) -> Admission:
    """Raises InvalidInput if this is no answer of `answer`."""
    fix = "`hallmark admit REQUEST` writes one, on the operator's machine."
    try:
        found = json.loads(data)
        if isinstance(found, dict) and found.get("payload_type") == REQUEST_TYPE:
            raise InvalidInput("This is a request for admission; install the answer to it.", fix=fix, field="answer")
        return document.from_json(Admission, found)
    except (ValueError, IntegrityFailure) as fault:
        raise InvalidInput(
            f"This is no answer to a request for admission ({fault})", fix=fix, field="answer"
        ) from fault
