"""A signed request: what a party asks for, once, of one coordinator, within minutes.

The signature covers method and body, so that neither a middleman nor a replay makes it ask for anything else.
Knows nothing of gRPC: a body is the bytes that were sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from node.core import document
from node.crypto.digest import sha256_digest
from node.crypto.signing import Envelope, PrivateKey, PublicKey, sign, verify
from node.errors import HallmarkError, SignatureInvalid

PAYLOAD_TYPE = "application/vnd.hallmark.v1.Request+json"
LONGEST_MS = 5 * 60_000
#: Clocks of honest machines may differ so much.
SKEW_MS = 30_000
NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Request:
    """One call.

    Attributes:
        audience: key id of the coordinator that is asked.
        method: full name of the method, "/hallmark.v1.JobService/CreateJob".
        body: SHA-256 of the serialized request, 64 hexadecimal digits.
        nonce: 16 random bytes in hexadecimal; no second request of this signer has them.
        expires_at_ms: the request is void from then on; at most 5 minutes ahead.
    """

    audience: str
    method: str
    body: str
    nonce: str
    expires_at_ms: int


def seal_request(
    key: PrivateKey, *, audience: str, method: str, body: bytes, nonce: bytes, expires_at_ms: int
) -> Envelope:
    """Signs a call of `method` with `body`."""
    request = Request(audience, method, sha256_digest(body).hex, nonce.hex(), expires_at_ms)
    return sign(key, PAYLOAD_TYPE, document.to_bytes(request))


def check_request(
    envelope: Envelope, *, signer: PublicKey, audience: str, method: str, body: str, now_ms: int
) -> Request:
    """The request in an envelope, once these hold. That its nonce is new is for the caller to check.

    1. The envelope is this signer's.
    2. It asks this coordinator, 3. for this method, 4. with exactly this body.
    5. It has not expired, nor does it last longer than allowed.
    6. Its nonce has the one form that nonces have.

    Args:
        body: SHA-256 of the bytes that arrived, in hexadecimal.

    Raises:
        SignatureInvalid: naming what does not hold.
    """
    # 1
    try:
        payload = verify(envelope, payload_type=PAYLOAD_TYPE, keys={signer.key_id: signer})
        request = document.from_bytes(Request, payload)
    except HallmarkError as fault:
        raise SignatureInvalid(f"The request is not signed by the caller's key. {fault.message}") from fault
    # 2, 3, 4
    for field, expected in (("audience", audience), ("method", method), ("body", body)):
        if (actual := getattr(request, field)) != expected:
            raise SignatureInvalid(
                f"The signature is for another {field}.", field=field, expected=expected, actual=actual[:128]
            )
    # 5
    if not now_ms - SKEW_MS < request.expires_at_ms <= now_ms + LONGEST_MS + SKEW_MS:
        raise SignatureInvalid(
            "The signed request has expired, or lasts longer than 5 minutes.",
            fix="Check this machine's clock; sign each request when it is sent.",
            field="expires_at_ms",
            expected=now_ms,
            actual=request.expires_at_ms,
        )
    # 6
    if re.fullmatch(f"[0-9a-f]{{{2 * NONCE_BYTES}}}", request.nonce) is None:
        raise SignatureInvalid(f"A nonce is {NONCE_BYTES} bytes in hexadecimal.", field="nonce")
    return request
