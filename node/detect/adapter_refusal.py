"""How the adapter gate says no, and how it reads a stranger's JSON: once, strictly, and with every byte accounted for.

Does not know what the JSON should say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from node.errors import InvalidInput


def refuse(reason: str, field: str) -> NoReturn:
    """Raises InvalidInput with the reason as a sentence; `field` names the file or tensor."""
    raise InvalidInput(
        f"The adapter is refused: {reason}.",
        fix="Hand in what PEFT saves after training on the agreed specification.",
        field=field,
    )


def shown(values: Iterable[str]) -> str:
    """A stranger's words for a person's eyes: few, short, and without control characters."""
    words = sorted(f"'{ascii(value[:80])[1:-1][:80]}'" for value in values)
    return ", ".join([*words[:3], "..."] if len(words) > 3 else words) or "none"


def strict_object(text: bytes, *, fractions: bool) -> dict[str, Any]:
    """A JSON object in UTF-8 that every parser reads alike.

    No byte order mark, no key twice, no NaN or Infinity; numbers with a point or an exponent only where `fractions`.

    Raises:
        ValueError: says what is wrong, in a few words.
    """
    if not text.startswith(b"{"):
        raise ValueError("it does not begin with an object")
    try:
        found: dict[str, Any] = json.loads(
            text.decode(),
            object_pairs_hook=_without_repetition,
            parse_float=float if fractions else _no_number,
            parse_constant=_no_number,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(str(error)[:80]) from None
    return found


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _no_number(spelling: str) -> NoReturn:
    raise ValueError(f"the number {spelling[:20]} is none that belongs here")
