"""Providers that introduced themselves, and how their jobs ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Provider:
    """`capabilities` is what the provider declares about itself, as JSON: a claim, not evidence."""

    key_id: str
    name: str
    capabilities: str
    registered_at_ms: int
    last_seen_ms: int


@dataclass(frozen=True, slots=True)
class Record:
    """One provider's jobs, counted by how they ended. Those that ended without a verdict, because this node was
    silent, are nobody's merit and count nowhere."""

    accepted: int = 0
    rejected: int = 0
    inconclusive: int = 0
    aborted: int = 0
    forfeited: int = 0
    faulted: int = 0
    in_hand: int = 0


class Providers(Protocol):
    def register(self, provider: Provider) -> None:
        """Adds a provider, or renews what it says of itself; the time of its first registration stays."""
        ...

    def find(self, key_id: str) -> Provider | None: ...

    def seen(self, key_id: str, now_ms: int) -> None:
        """Notes a sign of life of a registered provider, every ten seconds at most: other calls write nothing."""
        ...

    def record(self, key_id: str) -> Record: ...
