"""Signatures hold for the exact type, payload and key, and for nothing near them."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from node.crypto import signing
from node.crypto.digest import Json, canonical_bytes, parse_canonical
from node.crypto.signing import Envelope, PrivateKey, PublicKey
from node.errors import IntegrityFailure, InvalidInput, SignatureInvalid, UnknownSigner

KEY = PrivateKey.from_seed(bytes(range(32)))
STRANGER = PrivateKey.from_seed(bytes(32))
TRUSTED = {KEY.public.key_id: KEY.public}
TYPE = "application/vnd.hallmark.test+json"
ENVELOPE = signing.sign(KEY, TYPE, b'{"a":1}')

# RFC 8032, section 7.1, tests 1 and 2: seed, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_keys_and_signatures_are_those_of_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    key = PrivateKey.from_seed(bytes.fromhex(seed))
    assert key.public.hex == public
    assert key.sign(bytes.fromhex(message)).hex() == signature


def test_the_signed_bytes_are_the_published_example_of_dsse() -> None:
    encoded = signing.pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary(), st.text("0123456789 "), st.binary())
def test_no_two_messages_share_their_signed_bytes(one: str, first: bytes, other: str, second: bytes) -> None:
    same = (one, first) == (other, second)
    encoded = signing.pre_authentication_encoding
    assert (encoded(one, first) == encoded(other, second)) == same


def test_lengths_count_bytes_not_characters() -> None:
    assert signing.pre_authentication_encoding("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary())
def test_verification_returns_the_payload_as_it_was_signed(payload_type: str, payload: bytes) -> None:
    envelope = signing.sign(KEY, payload_type, payload)
    assert signing.verify(envelope, payload_type=payload_type, keys=TRUSTED) == payload


def test_a_message_of_another_type_is_refused() -> None:
    with pytest.raises(SignatureInvalid):
        signing.verify(ENVELOPE, payload_type="application/vnd.hallmark.other+json", keys=TRUSTED)


@pytest.mark.parametrize("expected", [TYPE, "other"])
def test_a_relabelled_message_is_refused_as_either_type(expected: str) -> None:
    relabelled = dataclasses.replace(ENVELOPE, payload_type="other")
    with pytest.raises(SignatureInvalid):
        signing.verify(relabelled, payload_type=expected, keys=TRUSTED)


def test_a_good_signature_by_a_stranger_is_unknown_not_invalid() -> None:
    with pytest.raises(UnknownSigner):
        signing.verify(signing.sign(STRANGER, TYPE, b""), payload_type=TYPE, keys=TRUSTED)


def test_a_stranger_who_names_a_trusted_key_is_refused() -> None:
    forged = dataclasses.replace(signing.sign(STRANGER, TYPE, b""), signer=KEY.public.key_id)
    with pytest.raises(SignatureInvalid):
        signing.verify(forged, payload_type=TYPE, keys=TRUSTED)


@given(st.integers(0, 64 * 8 - 1))
def test_no_bit_of_the_signature_may_change(bit: int) -> None:
    flipped = int.from_bytes(ENVELOPE.signature, "little") ^ (1 << bit)
    with pytest.raises(SignatureInvalid):
        signing.verify(
            dataclasses.replace(ENVELOPE, signature=flipped.to_bytes(64, "little")), payload_type=TYPE, keys=TRUSTED
        )


@given(st.integers(0, len(ENVELOPE.payload) * 8 - 1))
def test_no_bit_of_the_payload_may_change(bit: int) -> None:
    flipped = int.from_bytes(ENVELOPE.payload, "little") ^ (1 << bit)
    changed = dataclasses.replace(ENVELOPE, payload=flipped.to_bytes(len(ENVELOPE.payload), "little"))
    with pytest.raises(SignatureInvalid):
        signing.verify(changed, payload_type=TYPE, keys=TRUSTED)


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\xff" * 64, b"\0" * 63, b"\0" * 65])
def test_a_signature_of_any_other_shape_is_refused(signature: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        signing.verify(dataclasses.replace(ENVELOPE, signature=signature), payload_type=TYPE, keys=TRUSTED)


def test_a_signature_has_no_second_spelling_by_adding_the_group_order() -> None:
    group_order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(ENVELOPE.signature[32:], "little") + group_order
    malleable = dataclasses.replace(ENVELOPE, signature=ENVELOPE.signature[:32] + scalar.to_bytes(32, "little"))
    with pytest.raises(SignatureInvalid):
        signing.verify(malleable, payload_type=TYPE, keys=TRUSTED)


# Envelopes as JSON


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary())
def test_an_envelope_survives_its_json(payload_type: str, payload: bytes) -> None:
    envelope = signing.sign(KEY, payload_type, payload)
    assert Envelope.from_json(parse_canonical(canonical_bytes(envelope.to_json()))) == envelope


@pytest.mark.parametrize(
    "change",
    [
        {"extra": "field"},
        {"payload": None},
        {"payload": 1},
        {"payload": "eyJhIjoxfQ"},
        {"payload": "eyJhIjoxfR=="},
        {"payload": "eyJhIjoxfQ==\n"},
        {"payload": "eyJh IjoxfQ=="},
        {"payload": "eyJhIjoxfQ==eyJh"},
        {"payload": "é"},
        {"signature": "-_-_"},
        {"signer": ["ed25519:"]},
    ],
)
def test_an_envelope_spelled_in_another_way_is_refused(change: dict[str, Json]) -> None:
    with pytest.raises(IntegrityFailure):
        Envelope.from_json({**ENVELOPE.to_json(), **change})


def test_base64_alone_would_have_accepted_the_second_spelling() -> None:
    import base64

    assert ENVELOPE.to_json()["payload"] == "eyJhIjoxfQ=="
    assert base64.b64decode("eyJhIjoxfR==", validate=True) == ENVELOPE.payload


@pytest.mark.parametrize("value", [None, [], "text", {}, {"payload": ""}])
def test_anything_else_is_no_envelope(value: Json) -> None:
    with pytest.raises(IntegrityFailure):
        Envelope.from_json(value)


def test_the_digest_depends_on_every_field() -> None:
    variants = [
        ENVELOPE,
        dataclasses.replace(ENVELOPE, payload_type="t"),
        dataclasses.replace(ENVELOPE, payload=b""),
        dataclasses.replace(ENVELOPE, signer="s"),
        dataclasses.replace(ENVELOPE, signature=b""),
    ]
    assert len({variant.digest for variant in variants}) == len(variants)


# Private keys


def test_a_private_key_survives_its_pem() -> None:
    assert PrivateKey.from_pem(KEY.to_pem()).sign(b"message") == KEY.sign(b"message")


def test_two_generated_keys_differ() -> None:
    assert PrivateKey.generate().public != PrivateKey.generate().public


def test_a_private_key_shows_itself_only_by_its_public_name() -> None:
    assert repr(KEY) == f"PrivateKey({KEY.public.key_id})"


def test_a_private_key_is_not_pickled_along_by_accident() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(KEY)


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidInput):
        PrivateKey.from_seed(bytes(31))


def other_pems() -> list[bytes]:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    encrypted = Ed25519PrivateKey.generate().private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"secret"))
    foreign = ec.generate_private_key(ec.SECP256R1()).private_bytes(pem, pkcs8, serialization.NoEncryption())
    return [b"", b"-----BEGIN PRIVATE KEY-----\n", KEY.to_pem()[:-40], encrypted, foreign]


@pytest.mark.parametrize("pem", other_pems(), ids=["empty", "header alone", "truncated", "encrypted", "another curve"])
def test_another_pem_is_refused(pem: bytes) -> None:
    with pytest.raises(InvalidInput):
        PrivateKey.from_pem(pem)


# Public keys


def test_a_key_id_is_short_and_bound_to_the_key() -> None:
    assert KEY.public.key_id.startswith("ed25519:")
    assert len(KEY.public.key_id) == len("ed25519:") + 32
    assert KEY.public.key_id != STRANGER.public.key_id


def test_a_public_key_survives_its_hex() -> None:
    assert PublicKey.from_hex(KEY.public.hex) == KEY.public


@pytest.mark.parametrize("text", ["", "zz" * 32, KEY.public.hex.upper(), KEY.public.hex[:-2], " " + KEY.public.hex])
def test_a_public_key_spelled_in_another_way_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        PublicKey.from_hex(text)


# Curve arithmetic of RFC 8032, section 5.1, to find the points of small order without looking them up.

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
Point = tuple[int, int]


def add(one: Point, other: Point) -> Point:
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2 % P
    x3 = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P)
    y3 = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P)
    return x3 % P, y3 % P


def times(factor: int, point: Point) -> Point:
    total = (0, 1)
    while factor:
        if factor & 1:
            total = add(total, point)
        point, factor = add(point, point), factor >> 1
    return total


def small_order_points() -> set[Point]:
    """The group of order 8, from any point that the prime factor alone does not kill to the identity of a subgroup."""
    for y in range(2, 100):
        square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
        x = pow(square, (P + 3) // 8, P)
        if x * x % P != square:
            x = x * pow(2, (P - 1) // 4, P) % P
        if x * x % P != square:
            continue
        generator = times(GROUP_ORDER, (x, y))
        group = {times(factor, generator) for factor in range(8)}
        if len(group) == 8:
            return group
    raise AssertionError("no generator of the small subgroup found")


def small_order_encodings() -> list[bytes]:
    """Every 32-byte string that decodes to a point of small order: canonical, and with y or x = 0 misspelled."""
    ys = {y for _, y in small_order_points()}
    spellings = {y for base in ys for y in (base, base + P) if y < 2**255}
    return [(y | sign << 255).to_bytes(32, "little") for y in sorted(spellings) for sign in (0, 1)]


@pytest.mark.parametrize("raw", small_order_encodings(), ids=bytes.hex)
def test_a_key_for_which_anybody_can_sign_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        PublicKey(raw)


def test_the_library_alone_would_have_believed_anybody() -> None:
    identity = Ed25519PublicKey.from_public_bytes((1).to_bytes(32, "little"))
    identity.verify((1).to_bytes(32, "little") + bytes(32), b"whatever was never signed")


@pytest.mark.parametrize("y", [P + 2, P + 3, 2**255 - 1])
def test_a_key_that_is_not_reduced_is_refused(y: int) -> None:
    with pytest.raises(InvalidInput):
        PublicKey(y.to_bytes(32, "little"))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput):
        PublicKey(bytes(size))
