"""X.509 certificates for the channel: one authority per operator, ECDSA P-256 throughout (RFC 5280).

A party *is* its Ed25519 key; its certificate only says so to TLS. The subject's common name is that key in hexadecimal
(64 characters, the most a common name holds), and the one alternative name is `urn:hallmark:party:<role>:<key id>`.
A party's certificate is good for clients only, the server's for servers only, so that no party passes for the node.
Does *not* know where files lie, who was admitted, or who was revoked.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from node.crypto.signing import PrivateKey, PublicKey
from node.errors import InvalidInput, SignatureInvalid

AUTHORITY_DAYS = 3650
LEAF_DAYS = 90
#: Certificates start a little early: the other machine's clock may be behind.
EARLY = timedelta(minutes=5)


class Role(StrEnum):
    """What a party may be admitted as."""

    CLIENT = "client"
    PROVIDER = "provider"
    ARBITER = "arbiter"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Party:
    """Whom a certificate names."""

    key: PublicKey
    role: Role

    @property
    def key_id(self) -> str:
        return self.key.key_id

    @property
    def uri(self) -> str:
        return f"urn:hallmark:party:{self.role}:{self.key_id}"


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate in PEM and its unencrypted private key (PKCS #8 PEM). `repr()` shows neither."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Credential(...)"


@dataclass(frozen=True, slots=True)
class Identity:
    """All that a party needs to talk to its coordinator.

    Attributes:
        authorities: certificates (PEM) of whoever may certify the coordinator's server.
        coordinator: the key id of the coordinator; signed requests are for it alone.
    """

    key: PrivateKey
    credential: Credential
    authorities: bytes
    coordinator: str


def new_key() -> bytes:
    """A new P-256 private key: unencrypted PKCS #8 in PEM; the caller protects the file."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def new_authority(operator: str, *, now_ms: int) -> Credential:
    """A self-signed authority for the operator with this key id."""
    key = new_key()
    name = _name(f"Hallmark {operator}")
    public = _private(key).public_key()
    builder = (
        _builder(name, public, now_ms, AUTHORITY_DAYS)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return Credential(_signed(builder, key), key)


def issue_server(authority: Credential, names: Sequence[str], *, now_ms: int) -> Credential:
    """A new server key and its certificate for these host names and IP addresses."""
    key = new_key()
    alternatives = [_host(name) for name in names]
    return Credential(
        _issue(
            authority,
            _private(key).public_key(),
            names[0],
            alternatives,
            ExtendedKeyUsageOID.SERVER_AUTH,
            now_ms=now_ms,
        ),
        key,
    )


def request(party: Party, key: bytes) -> bytes:
    """A PKCS #10 request in PEM: whoever holds `key` asks to be certified as `party`."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(party.key.hex))
    builder = builder.add_extension(x509.SubjectAlternativeName([_uri(party)]), critical=False)
    return builder.sign(_private(key), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def issue_party(authority: Credential, request: bytes, *, now_ms: int) -> bytes:
    """The certificate that a request asks for. Whether the party is who it says is for the caller to check first.

    Raises:
        InvalidInput: this is no request for a party on a P-256 key.
        SignatureInvalid: the request was not signed by the TLS key that it names.
    """
    party = requested(request)
    asked = x509.load_pem_x509_csr(request)
    public = asked.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise InvalidInput("A request for a certificate is made with a P-256 key.", field="request")
    return _issue(authority, public, party.key.hex, [_uri(party)], ExtendedKeyUsageOID.CLIENT_AUTH, now_ms=now_ms)


def requested(request: bytes) -> Party:
    """The party that a PKCS #10 request names.

    Raises:
        InvalidInput: this is no such request.
        SignatureInvalid: it was not signed by the TLS key that it names.
    """
    try:
        asked = x509.load_pem_x509_csr(request)
        signed = asked.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as fault:
        raise InvalidInput("This is no request for a certificate (PKCS #10, PEM).", field="request") from fault
    if not signed:
        raise SignatureInvalid("The request is not signed by the TLS key that it names.")
    return _party(asked.subject, asked.extensions)


@functools.lru_cache(maxsize=4096)
def party_of(certificate: bytes) -> tuple[Party, int]:
    """Whom a party's certificate (PEM) names, and when it ends (ms). Its issuer's signature is TLS's affair.

    Raises:
        InvalidInput: this certificate names no party.
    """
    return _party((read := _read(certificate)).subject, read.extensions), _expires_at_ms(read)


def expires_at_ms(certificate: bytes) -> int:
    """When a certificate (PEM) ends. Raises InvalidInput if it is none."""
    return _expires_at_ms(_read(certificate))


def host_names(certificate: bytes) -> tuple[str, ...]:
    """Host names and IP addresses that a server's certificate (PEM) is for."""
    names = _read(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(str(name.value) for name in names)


def same_key(credential: Credential) -> bool:
    """Whether a certificate belongs to its private key."""
    return bool(_read(credential.certificate).public_key() == _private(credential.key).public_key())


def _read(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError as fault:
        raise InvalidInput("This is no certificate (X.509, PEM).", field="certificate") from fault


def _party(subject: x509.Name, extensions: x509.Extensions) -> Party:
    """Name and alternative name must say the same: key and key id belong together."""
    try:
        (common_name,) = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        (uri,) = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        role = Role(str(uri.value).removeprefix("urn:hallmark:party:").partition(":")[0])
        party = Party(PublicKey.from_hex(str(common_name.value)), role)
    except (ValueError, x509.ExtensionNotFound, InvalidInput) as fault:
        raise InvalidInput("This names no party of a node.", field="certificate") from fault
    if uri != _uri(party):
        raise InvalidInput("The key id in this certificate is not that of its key.", field="certificate")
    return party


def _issue(
    authority: Credential,
    public: ec.EllipticCurvePublicKey,
    common_name: str,
    alternatives: Sequence[x509.GeneralName],
    purpose: ObjectIdentifier,
    *,
    now_ms: int,
) -> bytes:
    issuer = _read(authority.certificate)
    builder = (
        _builder(_name(common_name), public, now_ms, LEAF_DAYS)
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(_issued_by(issuer), critical=False)
    )
    return _signed(builder, authority.key)


def _issued_by(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Tells two authorities of one name apart while an operator changes from one to the other."""
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _builder(subject: x509.Name, public: ec.EllipticCurvePublicKey, now_ms: int, days: int) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(now_ms // 1000, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLY)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(builder: x509.CertificateBuilder, key: bytes) -> bytes:
    return builder.sign(_private(key), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _private(key: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        loaded = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
        raise InvalidInput("This is not an unencrypted PEM private key.", field="key") from fault
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise InvalidInput("This private key is not on an elliptic curve.", field="key")
    return loaded


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _uri(party: Party) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(party.uri)


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _expires_at_ms(certificate: x509.Certificate) -> int:
    return int(certificate.not_valid_after_utc.timestamp() * 1000)
