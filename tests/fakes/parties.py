"""Certificates for parties whose keys follow from their names, by an authority of the test's own; nothing on disk."""

from __future__ import annotations

import time

from fakes.world import key

from node.coordinator.server import Access
from node.crypto import certificates
from node.crypto.certificates import Credential, Identity, Party, Role

SERVER_NAMES = ("127.0.0.1", "localhost")


class Parties:
    """An operator's authority: certifies its server and whoever a test names. `revoked` may be changed at any time."""

    def __init__(self, coordinator: str = "coordinator") -> None:
        self.coordinator = key(coordinator).public.key_id
        self.now_ms = time.time_ns() // 1_000_000
        self.authority = certificates.new_authority(self.coordinator, now_ms=self.now_ms)
        self.server = certificates.issue_server(self.authority, SERVER_NAMES, now_ms=self.now_ms)
        self.revoked: frozenset[str] = frozenset()

    @property
    def access(self) -> Access:
        return Access(
            credential=lambda: self.server,
            authorities=lambda: self.authority.certificate,
            revoked=lambda: self.revoked,
        )

    def identity(self, name: str, role: Role, *, issued_at_ms: int | None = None) -> Identity:
        """The identity of `fakes.world.key(name)`, admitted in a role."""
        tls_key = certificates.new_key()
        asked = certificates.request(Party(key(name).public, role), tls_key)
        certificate = certificates.issue_party(self.authority, asked, now_ms=issued_at_ms or self.now_ms)
        return Identity(key(name), Credential(certificate, tls_key), self.authority.certificate, self.coordinator)
