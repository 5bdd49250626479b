"""A signed request holds for one call, of one method, of one coordinator, with one body, for a few minutes."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.world import key
from hypothesis import given
from hypothesis import strategies as st

from node.core.request import LONGEST_MS, NONCE_BYTES, PAYLOAD_TYPE, SKEW_MS, check_request, seal_request
from node.crypto.digest import canonical_bytes, sha256_digest
from node.crypto.signing import Envelope, sign
from node.errors import SignatureInvalid

NOW_MS = 1_800_000_000_000
SIGNER = key("client")
CALL: dict[str, Any] = {
    "audience": key("coordinator").public.key_id,
    "method": "/hallmark.v1.JobService/CreateJob",
    "body": b"a job",
}
NONCE = bytes(range(NONCE_BYTES))


def sealed(**changes: Any) -> Envelope:
    return seal_request(SIGNER, **{**CALL, "nonce": NONCE, "expires_at_ms": NOW_MS + LONGEST_MS, **changes})


def checked(envelope: Envelope, now_ms: int = NOW_MS, **changes: Any) -> object:
    expected = {**CALL, "body": sha256_digest(CALL["body"]).hex, "signer": SIGNER.public, **changes}
    return check_request(envelope, now_ms=now_ms, **expected)


def test_a_request_is_read_back_as_it_was_signed() -> None:
    request = check_request(
        sealed(), signer=SIGNER.public, **{**CALL, "body": sha256_digest(b"a job").hex}, now_ms=NOW_MS
    )
    assert (request.nonce, request.expires_at_ms) == (NONCE.hex(), NOW_MS + LONGEST_MS)


@pytest.mark.parametrize(
    "change",
    [
        {"audience": key("other").public.key_id},
        {"method": "/hallmark.v1.JobService/CancelJob"},
        {"body": b"another job"},
        {"nonce": b""},
        {"nonce": NONCE + b"0"},
    ],
    ids=str,
)
def test_a_request_for_anything_else_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SignatureInvalid):
        checked(sealed(**change))


@given(st.integers(-2 * LONGEST_MS, 2 * LONGEST_MS))
def test_a_request_holds_from_when_it_is_signed_until_it_expires_give_or_take_the_skew(late_ms: int) -> None:
    envelope = sealed()  # signed at NOW_MS, for as long as allowed
    if -SKEW_MS <= late_ms < LONGEST_MS + SKEW_MS:
        checked(envelope, NOW_MS + late_ms)
    else:
        with pytest.raises(SignatureInvalid):
            checked(envelope, NOW_MS + late_ms)


def test_another_partys_request_is_refused() -> None:
    with pytest.raises(SignatureInvalid):
        checked(sealed(), signer=key("provider").public)


@given(st.integers(0, 63), st.integers(1, 255))
def test_a_changed_signature_is_refused(at: int, mask: int) -> None:
    good = sealed()
    changed = bytearray(good.signature)
    changed[at] ^= mask
    with pytest.raises(SignatureInvalid):
        checked(Envelope(good.payload_type, good.payload, good.signer, bytes(changed)))


@pytest.mark.parametrize("payload", [b"", b"{}", canonical_bytes({"audience": 1}), sealed().payload + b" "])
def test_a_payload_in_any_other_form_is_refused(payload: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        checked(sign(SIGNER, PAYLOAD_TYPE, payload))


def test_a_protocol_message_is_no_request() -> None:
    with pytest.raises(SignatureInvalid):
        checked(sign(SIGNER, "application/vnd.hallmark.v1.Offer+json", sealed().payload))
