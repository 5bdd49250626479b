"""The single-use numbers of signed requests, kept until their request could not be valid any more."""

from __future__ import annotations

from typing import Protocol


class Nonces(Protocol):
    def used(self, signer: str, nonce: str) -> bool: ...

    def use(self, signer: str, nonce: str, expires_at_ms: int) -> None:
        """Marks a nonce as spent, with the transaction. Raises PermissionRefused if it was spent before."""
        ...

    def forget(self, now_ms: int) -> None:
        """Drops what expired before `now_ms`: those requests are refused by their age alone."""
        ...
