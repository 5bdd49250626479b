"""Who calls, as the verbs of the workflow want to know it."""

from __future__ import annotations

from node.coordinator.authentication import current
from node.crypto.certificates import Role


def caller() -> str:
    """The key id of whoever calls."""
    return current().key_id


def viewer() -> str | None:
    """As `caller`; None for an operator, who sees everything."""
    party = current()
    return None if party.role is Role.OPERATOR else party.key_id
