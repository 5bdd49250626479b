"""Providers that introduced themselves, and how their jobs ended."""

from __future__ import annotations

from collections.abc import Sequence
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
class Reputation:
    """Ended jobs of one provider, counted. `settled` includes those without a verdict (the coordinator was silent)."""

    settled: int
    accepted: int
    forfeited: int
    faulted: int


class Providers(Protocol):
    def register(self, provider: Provider) -> None:
        """Adds a provider, or renews what it says of itself; the time of its first registration stays."""
        ...

    def find(self, key_id: str) -> Provider | None: ...

    def seen(self, key_id: str, now_ms: int) -> None:
        """Notes a sign of life of a registered provider."""
        ...

    def page(self, *, after: str, limit: int) -> Sequence[Provider]:
        """Providers in the order of their key ids, after one of them ("" is the start)."""
        ...

    def reputation(self, key_id: str) -> Reputation: ...
