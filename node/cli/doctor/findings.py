"""What a check found: fine, to be watched, or broken; the latter two with a line that somebody can paste."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from node.settings import Settings


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix` is a command or a sentence; empty where nothing is wrong."""

    level: Level
    found: str
    fix: str = ""


Check = Callable[[Settings], Iterable[Finding]]


def ok(found: str) -> Finding:
    return Finding(Level.OK, found)


def warning(found: str, fix: str) -> Finding:
    return Finding(Level.WARNING, found, fix)


def broken(found: str, fix: str) -> Finding:
    return Finding(Level.BROKEN, found, fix)


def findings(check: Check, settings: Settings) -> Iterator[Finding]:
    """What the check finds; a check that fails itself is a finding, and stops no other one."""
    from node.errors import HallmarkError

    try:
        yield from check(settings)
    except HallmarkError as fault:
        yield broken(fault.message, fault.fix or "See the message.")
    except Exception as fault:
        yield broken(f"This could not be checked ({type(fault).__name__}: {fault}).", "Report it with this line.")
