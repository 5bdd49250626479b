"""Providers introduce themselves; what this node knows of one, its record included."""

from __future__ import annotations

from dataclasses import dataclass

from node.core import document
from node.core.capabilities import LONGEST_TEXT, Capabilities
from node.errors import InvalidInput, NotFound
from node.ports.providers import Provider, Record
from node.ports.unit_of_work import UnitOfWork
from node.workflow.node import Node


@dataclass(frozen=True, slots=True)
class Known:
    """What a provider says of itself, and how its jobs ended."""

    provider: Provider
    capabilities: Capabilities
    record: Record


def register_provider(node: Node, caller: str, name: str, capabilities: Capabilities) -> Known:
    """Makes the caller known, or renews what it says of itself.

    Raises:
        InvalidInput: the name is too long, or has characters that would play tricks on a screen.
    """
    if len(name) > LONGEST_TEXT or not name.isprintable():
        raise InvalidInput(f"A name has at most {LONGEST_TEXT} printable characters.", field="display_name")
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        said = document.to_bytes(capabilities).decode()
        unit.providers.register(Provider(caller, name, said, registered_at_ms=now_ms, last_seen_ms=now_ms))
        known = _known(unit, caller)
        unit.commit()
        return known


def provider(node: Node, key_id: str) -> Known:
    """Raises NotFound if no such provider ever registered."""
    with node.units(read_only=True) as unit:
        return _known(unit, key_id)


def _known(unit: UnitOfWork, key_id: str) -> Known:
    found = unit.providers.find(key_id)
    if found is None:
        raise NotFound(
            f"No provider {key_id} has registered here.",
            fix="It does when `hallmark provider run` is first started.",
            field="name",
        )
    said = document.from_bytes(Capabilities, found.capabilities.encode())
    return Known(found, said, unit.providers.record(key_id))
