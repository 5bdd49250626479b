"""Ed25519 signatures over typed payloads: verify the received bytes first, parse them afterwards.

The signed bytes are the DSSE v1 pre-authentication encoding (secure-systems-lab/dsse, protocol.md), so that a
signature for one payload type never holds for another. An envelope carries one signature: each message has one author.
Does *not* know who owns a key, where keys lie, or what a payload says.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from node.crypto.digest import Digest, Json, canonical_bytes, digest
from node.errors import IntegrityFailure, InvalidInput, SignatureInvalid, UnknownSigner

_FIELD_PRIME = 2**255 - 19
_ORDER_EIGHT_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({0, 1, _FIELD_PRIME - 1, _ORDER_EIGHT_Y, _FIELD_PRIME - _ORDER_EIGHT_Y})
"""The y coordinates of the eight curve points whose order divides 8; for such a key anybody can sign."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key (RFC 8032): 32 bytes, y in little-endian order and the sign of x in the top bit.

    Raises InvalidInput for another length, a y that is not reduced modulo 2**255 - 19, and points of small order.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise InvalidInput(f"An Ed25519 public key has 32 bytes, not {len(self.raw)}.", field="key")
        y = int.from_bytes(self.raw, "little") & (2**255 - 1)
        if y >= _FIELD_PRIME or y in _SMALL_ORDER_Y:
            raise InvalidInput("This Ed25519 public key is not canonical, or anybody could sign for it.", field="key")

    @property
    def key_id(self) -> str:
        """`ed25519:` and 32 hexadecimal digits: the first half of the key's digest."""
        return f"ed25519:{digest('ed25519-public-key', self.raw).hex[:32]}"

    @property
    def hex(self) -> str:
        return self.raw.hex()

    @classmethod
    def from_hex(cls, text: str) -> PublicKey:
        """The inverse of `hex`. Raises InvalidInput for any other spelling."""
        try:
            key = cls(bytes.fromhex(text))
        except ValueError as error:
            raise InvalidInput("A public key is spelled as 64 hexadecimal digits.", field="key") from error
        if key.hex != text:
            raise InvalidInput("A public key is spelled in lower case, without spaces.", field="key")
        return key


def is_key_id(text: str) -> bool:
    """Whether this is spelled as `PublicKey.key_id` is."""
    return re.fullmatch("ed25519:[0-9a-f]{32}", text) is not None


class PrivateKey:
    """An Ed25519 private key. Neither `repr()` nor an error message ever shows it."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.key_id})"

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new key from the operating system's entropy."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> PrivateKey:
        """The key of RFC 8032 for a secret of 32 bytes. Raises InvalidInput for another length."""
        if len(seed) != 32:
            raise InvalidInput(f"An Ed25519 seed has 32 bytes, not {len(seed)}.", field="seed")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_pem(cls, pem: bytes) -> PrivateKey:
        """Read what `to_pem` wrote. Raises InvalidInput for everything else, encrypted keys included."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InvalidInput("This is not an unencrypted PEM private key.", field="key") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidInput("This private key is not an Ed25519 key.", field="key")
        return cls(key)

    def to_pem(self) -> bytes:
        """PKCS #8 in PEM, unencrypted: the caller protects the file."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the deterministic signature of RFC 8032."""
        return self._key.sign(message)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type, and its one author's signature over both. Holding one says nothing: `verify` does."""

    payload_type: str
    payload: bytes
    signer: str
    """The author's `PublicKey.key_id`."""
    signature: bytes

    @property
    def digest(self) -> Digest:
        """Identifies exactly this envelope, signature included."""
        return digest("envelope", canonical_bytes(self.to_json()))

    def to_json(self) -> dict[str, Json]:
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payload_type": self.payload_type,
            "signature": base64.b64encode(self.signature).decode(),
            "signer": self.signer,
        }

    @classmethod
    def from_json(cls, value: Json) -> Envelope:
        """The inverse of `to_json`. Raises IntegrityFailure unless `to_json` gives exactly `value` back."""
        texts = {name: text for name, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}
        if texts != value or texts.keys() != {"payload", "payload_type", "signature", "signer"}:
            raise IntegrityFailure("An envelope has the text fields payload, payload_type, signature and signer alone.")
        return cls(
            payload_type=texts["payload_type"],
            payload=_decoded(texts["payload"]),
            signer=texts["signer"],
            signature=_decoded(texts["signature"]),
        )


def sign(key: PrivateKey, payload_type: str, payload: bytes) -> Envelope:
    """Put `payload` into an envelope signed by `key`."""
    signature = key.sign(pre_authentication_encoding(payload_type, payload))
    return Envelope(payload_type, payload, key.public.key_id, signature)


def verify(envelope: Envelope, *, payload_type: str, keys: Mapping[str, PublicKey]) -> bytes:
    """The payload exactly as received, once these hold; only then may anyone parse it:

    1. the envelope is of the type that the caller expects (else SignatureInvalid);
    2. its signer is among `keys`, which are those the caller trusts, by key id (else UnknownSigner);
    3. the signature is this signer's over type and payload (else SignatureInvalid).
    """
    if envelope.payload_type != payload_type:
        raise SignatureInvalid(
            "The signature is for another kind of message.", expected=payload_type, actual=envelope.payload_type
        )
    if envelope.signer not in keys:
        raise UnknownSigner("Nobody vouches for the key that signed this.", actual=envelope.signer)
    key = Ed25519PublicKey.from_public_bytes(keys[envelope.signer].raw)
    try:
        key.verify(envelope.signature, pre_authentication_encoding(payload_type, envelope.payload))
    except InvalidSignature as error:
        raise SignatureInvalid("The signature does not belong to this message.", signer=envelope.signer) from error
    return envelope.payload


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: DSSE's PAE, in which lengths in bytes keep type and payload apart."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def _decoded(text: str) -> bytes:
    """Base64 in its one canonical spelling: a decoder ignores foreign characters and the bits before the padding."""
    try:
        data = base64.b64decode(text)
    except ValueError as error:
        raise IntegrityFailure("An envelope's payload and signature are base64.") from error
    if base64.b64encode(data).decode() != text:
        raise IntegrityFailure("This base64 text is not the canonical spelling of its bytes.")
    return data
