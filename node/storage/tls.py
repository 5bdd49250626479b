"""Certificates in a node's home folder: the operator's authorities and server, each party's own, and who was revoked.

    home/keys/<role>.pem         the Ed25519 key that a party is; on the operator's machine also coordinator and log
    home/tls/<role>.key, .pem    a party's TLS key and certificate
    home/tls/authorities.pem     whose certificates this home takes
    home/tls/authorities/*.pem   the operator's own authorities, certificate and key in one file, the newest last
    home/tls/server.pem          the server's certificate and key in one file, so that both change at once
    home/tls/revoked             key ids that are refused, one a line

Whatever is there already is kept. Two authorities stand side by side while an operator changes from one to the next:
parties are certified by the newest, the server by the oldest, which every party knows. Everything is readable by its
owner alone. Knows no network.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from node.core import admission
from node.core.admission import Admission, PinnedKey
from node.crypto import certificates
from node.crypto.certificates import Credential, Identity, Party, Role
from node.crypto.signing import PublicKey, is_key_id
from node.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from node.storage import keys

#: Names under which every server is reached on its own machine.
LOCAL_NAMES = ("localhost", "127.0.0.1")
DAY_MS = 86_400_000
#: A certificate that ends sooner is made anew, or warned of.
RENEW_DAYS = 30


def make_operator(home: Path, names: Sequence[str], *, now_ms: int, rotate: bool = False) -> list[Path]:
    """Gives an operator's home its keys, authority, server certificate, trust, and the operator's own certificate.

    The server's certificate is kept while it has these names and a month left; it never loses a name.

    Args:
        names: host names and addresses of the server, besides this machine's own.
        rotate: a new server key and certificate in any case.

    Returns:
        The files that were made, oldest part first.
    """
    before = _modified(home)
    coordinator, log = (keys.load_or_create(_key_file(home, name)).public for name in ("coordinator", "log"))
    if (
        not (home / "trust.json").exists()
        or coordinator.key_id not in keys.read_trust(home / "trust.json").coordinators
    ):
        keys.write_trust(home / "trust.json", coordinator=coordinator, log=log)
    if not _authority_files(home):
        _add_authority(home, coordinator, now_ms)
    _make_server(home, names, now_ms, rotate)
    if rotate or expires_soon(_certificate_file(home, Role.OPERATOR), now_ms):
        admit_here(home, home, Role.OPERATOR, now_ms=now_ms)
    return [file for file, modified in _modified(home).items() if before.get(file) != modified]


def ask(home: Path, role: Role) -> bytes:
    """The request for admission of this home's party; its keys are made if they are not there."""
    key = keys.load_or_create(_key_file(home, role))
    tls_key = keys.read_or_create(_tls_key_file(home, role), certificates.new_key)
    return admission.request(key, role, tls_key)


def admit(home: Path, request: bytes, *, now_ms: int) -> tuple[Party, bytes]:
    """On the operator's machine: checks a request for admission and answers it.

    Raises:
        InvalidInput, IntegrityFailure: the request is none, or proves not both of its keys.
        PermissionRefused: somebody asks to be the operator.
        Conflict: the party was revoked.
        NotFound: this is no operator's home.
    """
    party, asked = admission.read_request(request)
    if party.role is Role.OPERATOR:
        raise PermissionRefused("This request asks for the operator's rights.", fix="Ask its sender why.")
    return party, _admit(home, party, asked, now_ms)


def _admit(home: Path, party: Party, asked: bytes, now_ms: int) -> bytes:
    if party.key.key_id in revoked(home):
        raise Conflict(
            f"{party.key.key_id} was revoked.",
            fix=f"Delete its line in {revoked_file(home)} if it shall come back.",
            party=party.key.key_id,
        )
    certificate = certificates.issue_party(_authorities(home)[-1], asked, now_ms=now_ms)
    trust = keys.read_trust(home / "trust.json")
    (coordinator,), (log,) = trust.coordinators.values(), trust.logs.values()
    answer = Admission(
        certificate.decode(), authorities_file(home).read_text("ascii"), _pinned(coordinator), _pinned(log)
    )
    return admission.answer(answer)


def install(home: Path, answer: bytes) -> Party:
    """Takes the operator's answer into the home of the party that asked.

    Raises:
        InvalidInput: this is no such answer.
        Conflict: it is for another party than this home's, or another TLS key, or this home trusts other keys.
    """
    admitted = admission.read_answer(answer)
    certificate = admitted.certificate.encode()
    party, _ = certificates.party_of(certificate)
    key_file, tls_key_file = _key_file(home, party.role), _tls_key_file(home, party.role)
    if not (
        key_file.exists()
        and tls_key_file.exists()
        and keys.load_or_create(key_file).public == party.key
        and certificates.same_key(Credential(certificate, tls_key_file.read_bytes()))
    ):
        raise Conflict(
            f"This certificate is for another {party.role} than the one in {home}.",
            fix=f"Make a request with `hallmark init --role {party.role}` and have it admitted.",
            party=party.key.key_id,
        )
    coordinator, log = _key(admitted.coordinator), _key(admitted.log)
    trust_file = home / "trust.json"
    if trust_file.exists() and keys.read_trust(trust_file).coordinators.keys() != {coordinator.key_id}:
        raise Conflict(
            f"{trust_file} pins another coordinator than {coordinator.key_id}, which answered.",
            fix="Use one home folder for each coordinator (--home).",
        )
    keys.write_trust(trust_file, coordinator=coordinator, log=log)
    keys.replace_file(authorities_file(home), admitted.authorities.encode())
    keys.replace_file(_certificate_file(home, party.role), certificate)
    return party


def admit_here(operator_home: Path, home: Path, role: Role, *, now_ms: int) -> Party:
    """Admits a party whose home is on the operator's machine: asks, admits and installs."""
    return install(home, _admit(operator_home, *admission.read_request(ask(home, role)), now_ms))


def identity(home: Path, role: Role) -> Identity:
    """All that this home's party needs to open a channel. In an operator's home it is admitted on the spot.

    Raises:
        NotFound: it was not admitted yet, or too long ago; says how that is done.
    """
    now_ms = time.time_ns() // 1_000_000
    if _authority_files(home) and expires_soon(_certificate_file(home, role), now_ms):
        admit_here(home, home, role, now_ms=now_ms)
    key, tls_key, certificate = _key_file(home, role), _tls_key_file(home, role), _certificate_file(home, role)
    for file in (key, tls_key, certificate, authorities_file(home)):
        if not file.exists():
            raise _not_admitted(home, role, f"{file} is missing")
    if certificates.expires_at_ms(certificate.read_bytes()) <= now_ms:
        raise _not_admitted(home, role, f"{certificate} has ended")
    trust = keys.read_trust(home / "trust.json")
    if len(trust.coordinators) != 1:
        raise InvalidInput(f"{home / 'trust.json'} must pin one coordinator to talk to.", field="trust")
    return Identity(
        key=keys.load_or_create(key),
        credential=Credential(certificate.read_bytes(), tls_key.read_bytes()),
        authorities=authorities_file(home).read_bytes(),
        coordinator=next(iter(trust.coordinators)),
    )


def roles(home: Path) -> tuple[Role, ...]:
    """What this home has certificates as, ended ones included."""
    return tuple(role for role in Role if _certificate_file(home, role).exists())


def _not_admitted(home: Path, role: Role, reason: str) -> NotFound:
    fix = (
        "Give the home of the coordinator's operator with --home; `hallmark init` makes one."
        if role is Role.OPERATOR
        else f"Run `hallmark init --role {role}`, have the operator admit the request, install the answer with "
        "`hallmark init --install FILE`."
    )
    others = " and ".join(other for other in roles(home) if other is not role)
    has = f" It has one as {others}: commands that know --as take that." if others else ""
    return NotFound(f"This home has no valid certificate as {role}: {reason}.{has}", fix=fix, field="home")


class Revocations:
    """The revoked key ids of a home, read again whenever the file has changed."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._known: tuple[int, frozenset[str]] = (0, frozenset())

    def __call__(self) -> frozenset[str]:
        file = revoked_file(self._home)
        changed = file.stat().st_mtime_ns if file.exists() else 0
        if changed != self._known[0]:
            self._known = changed, revoked(self._home)
        return self._known[1]


def server_credential(home: Path) -> Credential:
    """Raises NotFound if this is no operator's home."""
    return _credential(server_file(home))


def start_rollover(home: Path, *, now_ms: int) -> Path:
    """A second authority, which certifies parties from now on; the server stays with the first one.

    Raises:
        Conflict: a change of authorities is under way already.
    """
    if len(_authorities(home)) > 1:
        raise Conflict("Two authorities stand side by side already.", fix="End that with `--retire-ca` first.")
    _make_server(home, (), now_ms, rotate=True)
    return _add_authority(home, keys.load_or_create(_key_file(home, "coordinator")).public, now_ms)


def end_rollover(home: Path, *, now_ms: int) -> Path:
    """Drops the older of two authorities: parties elsewhere that it certified must have been admitted anew before.

    Returns:
        The file that was deleted.

    Raises:
        Conflict: there is no older authority.
    """
    (first, *others) = _authority_files(home) or [_no_operator(home)]
    if not others:
        raise Conflict("There is one authority only.", fix="Begin with `hallmark init --rotate-ca`.")
    first.unlink()
    _write_authorities(home)
    _make_server(home, (), now_ms, rotate=True)
    for role in Role:
        if _certificate_file(home, role).exists():
            admit_here(home, home, role, now_ms=now_ms)
    return first


def revoke(home: Path, key_id: str) -> None:
    """From the next call on this party is refused, whatever its certificate says. Open streams end by themselves.

    Raises:
        InvalidInput: this is no key id.
    """
    if not is_key_id(key_id):
        raise InvalidInput(f"{key_id!r} is no key id: `ed25519:` and 32 hexadecimal digits.", field="revoke")
    keys.replace_file(revoked_file(home), "".join(f"{each}\n" for each in sorted({*revoked(home), key_id})).encode())


def revoked(home: Path) -> frozenset[str]:
    file = revoked_file(home)
    return frozenset(file.read_text("utf-8").split()) if file.exists() else frozenset()


def certificate_ends(home: Path) -> dict[Path, int]:
    """When each certificate in this home ends (ms): the parties', the server's, the operator's own authorities'."""
    files = [*sorted((home / "tls").glob("*.pem")), *_authority_files(home)]
    return {file: certificates.expires_at_ms(file.read_bytes()) for file in files if file != authorities_file(home)}


def certificates_expiring(home: Path, *, now_ms: int, within_days: int = RENEW_DAYS) -> dict[Path, int]:
    """Those that end within so many days, or have ended, and when (ms)."""
    return {file: end for file, end in certificate_ends(home).items() if end < now_ms + within_days * DAY_MS}


def expires_soon(file: Path, now_ms: int) -> bool:
    """Whether a certificate is missing or ends within RENEW_DAYS."""
    return not file.exists() or certificates.expires_at_ms(file.read_bytes()) < now_ms + RENEW_DAYS * DAY_MS


def server_file(home: Path) -> Path:
    return home / "tls" / "server.pem"


def authorities_file(home: Path) -> Path:
    return home / "tls" / "authorities.pem"


def revoked_file(home: Path) -> Path:
    return home / "tls" / "revoked"


def _key_file(home: Path, name: str) -> Path:
    return home / "keys" / f"{name}.pem"


def _tls_key_file(home: Path, role: Role) -> Path:
    return home / "tls" / f"{role}.key"


def _certificate_file(home: Path, role: Role) -> Path:
    return home / "tls" / f"{role}.pem"


def _authority_files(home: Path) -> list[Path]:
    return sorted((home / "tls" / "authorities").glob("*.pem"))


def _authorities(home: Path) -> list[Credential]:
    return [_credential(file) for file in _authority_files(home) or [_no_operator(home)]]


def _no_operator(home: Path) -> Path:
    raise NotFound(f"{home} is no operator's home: it has no authority.", fix="Run `hallmark init` there.")


def _add_authority(home: Path, operator: PublicKey, now_ms: int) -> Path:
    last = _authority_files(home)[-1:]
    file = home / "tls" / "authorities" / f"{int(last[0].stem) + 1 if last else 1:03}.pem"
    authority = certificates.new_authority(operator.key_id, now_ms=now_ms)
    keys.replace_file(file, authority.certificate + authority.key)
    _write_authorities(home)
    return file


def _write_authorities(home: Path) -> None:
    keys.replace_file(authorities_file(home), b"".join(each.certificate for each in _authorities(home)))


def _make_server(home: Path, names: Iterable[str], now_ms: int, rotate: bool) -> None:
    file = server_file(home)
    known = certificates.host_names(file.read_bytes()) if file.exists() else ()
    wanted = tuple(dict.fromkeys([*known, *LOCAL_NAMES, *names]))
    if rotate or wanted != known or expires_soon(file, now_ms):
        made = certificates.issue_server(_authorities(home)[0], wanted, now_ms=now_ms)
        keys.replace_file(file, made.certificate + made.key)


def _credential(file: Path) -> Credential:
    if not file.exists():
        raise NotFound(f"There is no {file}.", fix="Run `hallmark init` on the operator's machine.")
    content = file.read_bytes()
    at = content.index(b"-----BEGIN PRIVATE KEY-----")
    return Credential(content[:at], content[at:])


def _pinned(key: PublicKey) -> PinnedKey:
    return PinnedKey(key.key_id, key.hex)


def _key(pinned: PinnedKey) -> PublicKey:
    key = PublicKey.from_hex(pinned.key_hex)
    if key.key_id != pinned.key_id:
        raise InvalidInput(f"The key listed as {pinned.key_id} is {key.key_id}.", field="answer")
    return key


def _modified(home: Path) -> dict[Path, int]:
    """Every file of keys and certificates, and when it was written last."""
    files = [*home.glob("keys/*"), *home.glob("tls/**/*"), *home.glob("trust.json")]
    return {file: file.stat().st_mtime_ns for file in files if file.is_file()}
