"""Certificates in home folders: made once, private, renewed in time, passed on by files, changed without a gap."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from fakes.world import key

from node.crypto import certificates
from node.crypto.certificates import Role
from node.errors import Conflict, IntegrityFailure, InvalidInput, NotFound, PermissionRefused
from node.storage import tls

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


@pytest.fixture
def operator(tmp_path: Path) -> Path:
    home = tmp_path / "operator"
    tls.make_operator(home, ["node.example"], now_ms=NOW_MS)
    return home


def content(home: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in home.rglob("*") if file.is_file()}


def test_an_operators_home_is_made_once_and_is_private(operator: Path) -> None:
    made = content(operator)
    assert tls.make_operator(operator, ["node.example"], now_ms=NOW_MS + DAY_MS) == []
    assert content(operator) == made
    for file in [operator, *operator.rglob("*")]:
        assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o600), file
    identity = tls.identity(operator, Role.OPERATOR)
    assert certificates.party_of(identity.credential.certificate)[0].role is Role.OPERATOR
    assert identity.coordinator in json.loads((operator / "trust.json").read_text())["coordinators"]


def test_a_server_gains_names_and_loses_none(operator: Path) -> None:
    assert tls.make_operator(operator, ["10.0.0.1"], now_ms=NOW_MS) == [tls.server_file(operator)]
    names = certificates.host_names(tls.server_credential(operator).certificate)
    assert set(names) == {"localhost", "127.0.0.1", "node.example", "10.0.0.1"}


def test_what_ends_within_a_month_is_told_and_made_anew(operator: Path) -> None:
    assert tls.certificates_expiring(operator, now_ms=NOW_MS) == {}
    soon_ms = NOW_MS + 61 * DAY_MS
    ending = tls.certificates_expiring(operator, now_ms=soon_ms)
    assert {file.name for file in ending} == {"server.pem", "operator.pem"}
    assert set(ending.values()) == {NOW_MS + 90 * DAY_MS}
    assert {file.name for file in tls.make_operator(operator, [], now_ms=soon_ms)} == {"server.pem", "operator.pem"}
    assert tls.certificates_expiring(operator, now_ms=soon_ms) == {}


def test_rotating_gives_the_server_a_new_key_under_the_same_authority(operator: Path) -> None:
    before, authority = tls.server_credential(operator), tls.authorities_file(operator).read_bytes()
    tls.make_operator(operator, [], now_ms=NOW_MS, rotate=True)
    after = tls.server_credential(operator)
    assert before.key != after.key
    assert certificates.same_key(after)
    assert tls.authorities_file(operator).read_bytes() == authority


def admitted(operator: Path, home: Path, role: Role) -> Path:
    tls.install(home, tls.admit(operator, tls.ask(home, role), now_ms=NOW_MS)[1])
    return home


def test_a_party_on_another_machine_is_admitted_by_two_files(operator: Path, tmp_path: Path) -> None:
    home = admitted(operator, tmp_path / "provider", Role.PROVIDER)
    identity, own = tls.identity(home, Role.PROVIDER), tls.identity(operator, Role.OPERATOR)
    assert (identity.authorities, identity.coordinator) == (own.authorities, own.coordinator)
    assert certificates.party_of(identity.credential.certificate)[0].key == identity.key.public
    for file in home.rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o600), file


def test_asking_again_keeps_the_keys_and_renews_the_certificate(operator: Path, tmp_path: Path) -> None:
    home = admitted(operator, tmp_path / "client", Role.CLIENT)
    before = tls.identity(home, Role.CLIENT)
    tls.install(home, tls.admit(operator, tls.ask(home, Role.CLIENT), now_ms=NOW_MS + DAY_MS)[1])
    after = tls.identity(home, Role.CLIENT)
    assert before.key.public == after.key.public
    assert before.credential.key == after.credential.key
    assert certificates.expires_at_ms(after.credential.certificate) == NOW_MS + 91 * DAY_MS


def test_on_the_operators_own_machine_nobody_has_to_ask(operator: Path) -> None:
    identity = tls.identity(operator, Role.CLIENT)
    assert certificates.party_of(identity.credential.certificate)[0].role is Role.CLIENT
    assert tls.identity(operator, Role.CLIENT).credential == identity.credential


def test_an_answer_for_another_home_is_refused_and_changes_nothing(operator: Path, tmp_path: Path) -> None:
    _, answer = tls.admit(operator, tls.ask(tmp_path / "one", Role.CLIENT), now_ms=NOW_MS)
    tls.ask(tmp_path / "other", Role.CLIENT)
    before = content(tmp_path / "other")
    for home in (tmp_path / "other", tmp_path / "nobody"):
        with pytest.raises(Conflict, match="another client"):
            tls.install(home, answer)
    assert content(tmp_path / "other") == before


def test_a_home_changes_its_coordinator_for_no_answer(operator: Path, tmp_path: Path) -> None:
    home = admitted(operator, tmp_path / "client", Role.CLIENT)
    other = tmp_path / "other operator"
    tls.make_operator(other, [], now_ms=NOW_MS)
    with pytest.raises(Conflict, match="another coordinator"):
        admitted(other, home, Role.CLIENT)


def test_keys_in_an_answer_must_have_their_ids(operator: Path, tmp_path: Path) -> None:
    answer = json.loads(tls.admit(operator, tls.ask(tmp_path, Role.CLIENT), now_ms=NOW_MS)[1])
    answer["coordinator"]["key_hex"] = key("thief").public.hex
    with pytest.raises(InvalidInput):
        tls.install(tmp_path, json.dumps(answer).encode())
    assert not (tmp_path / "trust.json").exists()


def test_without_a_certificate_it_is_said_how_to_get_one(operator: Path, tmp_path: Path) -> None:
    tls.ask(tmp_path / "client", Role.CLIENT)
    for home in (tmp_path / "client", tmp_path / "nothing"):
        with pytest.raises(NotFound, match="hallmark init --role client"):
            tls.identity(home, Role.CLIENT)
    with pytest.raises(NotFound, match="no operator's home"):
        tls.admit(tmp_path / "client", tls.ask(tmp_path / "client", Role.CLIENT), now_ms=NOW_MS)
    with pytest.raises(NotFound):
        tls.server_credential(tmp_path / "client")


def test_a_certificate_that_has_ended_is_as_good_as_none(operator: Path, tmp_path: Path) -> None:
    asked = tls.ask(tmp_path / "client", Role.CLIENT)
    tls.install(tmp_path / "client", tls.admit(operator, asked, now_ms=NOW_MS - 10_000 * DAY_MS)[1])
    with pytest.raises(NotFound, match=r"has ended\. Run `hallmark init --role client`"):
        tls.identity(tmp_path / "client", Role.CLIENT)


def test_no_changed_request_is_admitted(operator: Path, tmp_path: Path) -> None:
    request = json.loads(tls.ask(tmp_path, Role.CLIENT))
    request["signer"] = key("thief").public.key_id
    with pytest.raises((InvalidInput, IntegrityFailure)):
        tls.admit(operator, json.dumps(request).encode(), now_ms=NOW_MS)


def test_nobody_is_admitted_as_the_operator(operator: Path, tmp_path: Path) -> None:
    with pytest.raises(PermissionRefused):
        tls.admit(operator, tls.ask(tmp_path, Role.OPERATOR), now_ms=NOW_MS)


def test_a_revoked_party_is_known_at_once_and_not_admitted_again(operator: Path, tmp_path: Path) -> None:
    revoked = tls.Revocations(operator)
    assert revoked() == frozenset()
    asked = tls.ask(tmp_path, Role.CLIENT)
    party, _ = tls.admit(operator, asked, now_ms=NOW_MS)
    tls.revoke(operator, party.key_id)
    assert revoked() == {party.key_id}
    tls.revoke(operator, key("other").public.key_id)
    assert revoked() == {party.key_id, key("other").public.key_id}
    with pytest.raises(Conflict, match="revoked"):
        tls.admit(operator, asked, now_ms=NOW_MS)
    for nonsense in ("", "somebody", f"{party.key_id}\ned25519:0"):
        with pytest.raises(InvalidInput):
            tls.revoke(operator, nonsense)


def test_an_authority_is_replaced_while_both_are_taken(operator: Path, tmp_path: Path) -> None:
    early = admitted(operator, tmp_path / "early", Role.CLIENT)
    with pytest.raises(Conflict):
        tls.end_rollover(operator, now_ms=NOW_MS)
    tls.identity(operator, Role.CLIENT)  # the operator may be a client of its own node
    old = tls.authorities_file(operator).read_bytes()
    tls.start_rollover(operator, now_ms=NOW_MS)
    with pytest.raises(Conflict):
        tls.start_rollover(operator, now_ms=NOW_MS)
    late = admitted(operator, tmp_path / "late", Role.CLIENT)
    both = tls.authorities_file(operator).read_bytes()
    assert both.startswith(old)
    assert tls.identity(late, Role.CLIENT).authorities == both
    assert issued(tls.server_credential(operator).certificate, old)  # so that the early party still knows the server
    assert not issued(tls.identity(late, Role.CLIENT).credential.certificate, old)
    assert issued(tls.identity(early, Role.CLIENT).credential.certificate, old)

    tls.end_rollover(operator, now_ms=NOW_MS)
    new = tls.authorities_file(operator).read_bytes()
    assert both == old + new
    own = [tls.identity(operator, role).credential for role in (Role.OPERATOR, Role.CLIENT)]
    for credential in (tls.server_credential(operator), *own):
        assert issued(credential.certificate, new)
    assert issued(tls.identity(late, Role.CLIENT).credential.certificate, new)


def issued(certificate: bytes, authority: bytes) -> bool:
    """Whether `authority` signed `certificate`, by the library's own check."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except InvalidSignature:
        return False
    return True
