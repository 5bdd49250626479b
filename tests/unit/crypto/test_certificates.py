"""Certificates say who a party is and nothing else; what they say is checked against OpenSSL's own reading."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from fakes.world import key

from node.crypto import certificates
from node.crypto.certificates import Credential, Party, Role
from node.errors import HallmarkError, InvalidInput, SignatureInvalid

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000
AUTHORITY = certificates.new_authority("ed25519:" + "0" * 32, now_ms=NOW_MS)
PARTY = Party(key("client").public, Role.CLIENT)
TLS_KEY = certificates.new_key()
CERTIFICATE = certificates.issue_party(AUTHORITY, certificates.request(PARTY, TLS_KEY), now_ms=NOW_MS)


def test_a_certificate_names_its_party_and_its_end() -> None:
    party, ends_ms = certificates.party_of(CERTIFICATE)
    assert party == PARTY
    assert ends_ms == certificates.expires_at_ms(CERTIFICATE) == NOW_MS + 90 * DAY_MS
    assert PARTY.uri == f"urn:hallmark:party:client:{key('client').public.key_id}"
    assert certificates.same_key(Credential(CERTIFICATE, TLS_KEY))
    assert not certificates.same_key(Credential(CERTIFICATE, certificates.new_key()))


@pytest.mark.parametrize("role", Role)
def test_openssl_takes_parties_as_clients_and_the_server_as_a_server_and_neither_as_the_other(
    role: Role, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    party = certificates.issue_party(
        AUTHORITY, certificates.request(Party(key("party").public, role), TLS_KEY), now_ms=NOW_MS
    )
    server = certificates.issue_server(AUTHORITY, ["node.example", "10.0.0.1", "::1"], now_ms=NOW_MS).certificate
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.certificate)

    def verifies(certificate: bytes, purpose: str, *more: str) -> bool:
        (tmp_path / "leaf.pem").write_bytes(certificate)
        command = ["openssl", "verify", "-x509_strict", "-attime", str(NOW_MS // 1000), "-purpose", purpose, *more]
        files = ["-CAfile", str(tmp_path / "ca.pem"), str(tmp_path / "leaf.pem")]
        return subprocess.run([*command, *files], capture_output=True, check=False).returncode == 0

    assert verifies(party, "sslclient")
    assert not verifies(party, "sslserver")
    assert verifies(server, "sslserver", "-verify_hostname", "node.example")
    assert verifies(server, "sslserver", "-verify_ip", "10.0.0.1")
    assert verifies(server, "sslserver", "-verify_ip", "::1")
    assert not verifies(server, "sslserver", "-verify_hostname", "other.example")
    assert not verifies(server, "sslclient")


def test_a_servers_certificate_says_its_names() -> None:
    names = ("node.example", "127.0.0.1", "::1")
    assert certificates.host_names(certificates.issue_server(AUTHORITY, names, now_ms=NOW_MS).certificate) == names


def test_a_party_certifies_nobody() -> None:
    """A certificate made with a party's key chains to no authority that a server takes."""
    read = x509.load_pem_x509_certificate(CERTIFICATE)
    assert not read.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not read.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_no_private_key_is_shown() -> None:
    shown = repr(Credential(CERTIFICATE, TLS_KEY))
    assert shown == "Credential(...)"


def csr(common_name: str, uris: list[str], tls_key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """A request for a certificate that says whatever a test likes."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    )
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(tls_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


P256 = ec.generate_private_key(ec.SECP256R1())
STRANGER = Party(key("stranger").public, Role.CLIENT)


@pytest.mark.parametrize(
    ("common_name", "uris"),
    [
        (PARTY.key.hex, []),
        (PARTY.key.hex, [PARTY.uri, STRANGER.uri]),
        (PARTY.key.hex, [STRANGER.uri]),
        (STRANGER.key.hex, [PARTY.uri]),
        (PARTY.key.hex, [f"urn:hallmark:party:root:{PARTY.key_id}"]),
        (PARTY.key.hex, [f"urn:hallmark:party:client:{PARTY.key_id}:more"]),
        (PARTY.key.hex, [f"client:{PARTY.key_id}"]),
        (PARTY.key.hex.upper(), [PARTY.uri]),
        ("node.example", [PARTY.uri]),
    ],
)
def test_a_request_whose_names_do_not_belong_together_is_refused(common_name: str, uris: list[str]) -> None:
    with pytest.raises(InvalidInput):
        certificates.issue_party(AUTHORITY, csr(common_name, uris, P256), now_ms=NOW_MS)


@pytest.mark.parametrize(
    "tls_key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)],
    ids=["P-384", "RSA"],
)
def test_a_request_on_another_kind_of_key_is_refused(
    tls_key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> None:
    with pytest.raises(InvalidInput):
        certificates.issue_party(AUTHORITY, csr(PARTY.key.hex, [PARTY.uri], tls_key), now_ms=NOW_MS)


def test_a_changed_request_is_refused_wherever_it_was_changed() -> None:
    good = x509.load_pem_x509_csr(certificates.request(PARTY, TLS_KEY)).public_bytes(serialization.Encoding.DER)
    for at in range(0, len(good), 7):
        changed = bytearray(good)
        changed[at] ^= 1
        pem = serialization.Encoding.PEM
        try:
            asked = x509.load_der_x509_csr(bytes(changed)).public_bytes(pem)
        except ValueError:
            continue  # no request any more
        with pytest.raises((InvalidInput, SignatureInvalid)):
            certificates.issue_party(AUTHORITY, asked, now_ms=NOW_MS)


@pytest.mark.parametrize("nonsense", [b"", b"x", TLS_KEY, AUTHORITY.certificate[:200]])
def test_nonsense_is_no_certificate_request_or_key(nonsense: bytes) -> None:
    for read in (certificates.party_of, certificates.expires_at_ms, certificates.requested):
        with pytest.raises(InvalidInput):
            read(nonsense)
    with pytest.raises(HallmarkError):
        certificates.request(PARTY, nonsense if nonsense != TLS_KEY else CERTIFICATE)
    with pytest.raises(InvalidInput):
        certificates.party_of(AUTHORITY.certificate)
