"""A data set as bytes: JSON Lines of chat messages or prompt/completion. Knows no tokens, no files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from node.core import document
from node.core.rows import Message, Role, Row
from node.errors import InvalidInput

MAX_ERRORS = 100
#: A parsed file takes tens of times its size in memory.
MAX_BYTES = 64 << 20


def parse(data: bytes, *, check: Callable[[Row], object] = lambda row: None) -> tuple[Row, ...]:
    """Rows of a JSON Lines file. A BOM and CRLF line ends are tolerated; blank lines are not.

    A line is `{"messages": [{"role": ..., "content": ...}, ...]}` or `{"prompt": "...", "completion": "..."}`.

    Args:
        check: called with each row in order; what it refuses with InvalidInput is told like any other wrong line.

    Raises:
        InvalidInput: `violations` names up to 100 wrong lines as (place, reason), a place being "line 2: $.messages";
            `line` is the first of them.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise _refusal([(line, "$", "These bytes are not UTF-8 text. Save the file as UTF-8.")]) from fault
    rows: list[Row] = []
    faults: list[tuple[int, str, str]] = []
    for number, line_text in enumerate(text.removesuffix("\n").split("\n"), start=1):
        try:
            row = _row(line_text.removesuffix("\r"))
            check(row)
        except InvalidInput as fault:
            faults.append((number, _path(fault.facts.get("field", "$")), str(fault)))
            if len(faults) == MAX_ERRORS:
                break
        else:
            rows.append(row)
    if faults:
        raise _refusal(faults)
    return tuple(rows)


def to_jsonl(rows: Sequence[Row]) -> bytes:
    """Rows as canonical JSON Lines; `parse` reads them back."""
    return b"".join(document.to_bytes(row) + b"\n" for row in rows)


def _refusal(faults: Sequence[tuple[int, str, str]]) -> InvalidInput:
    """Faults as (line, JSON path, reason)."""
    violations = tuple((f"line {line}: {path}", reason) for line, path, reason in faults)
    place, reason = violations[0]
    count = f"{len(faults)}{'+' if len(faults) == MAX_ERRORS else ''}"
    return InvalidInput(
        f"{count} wrong line(s); the first is {place}: {reason}",
        fix="Mend these lines and try again.",
        violations=violations,
        line=faults[0][0],
    )


def _path(field: str | int) -> str:
    return "$" if field == "$" else f"$.{field}"


def _row(line: str) -> Row:
    if not line.strip():
        raise InvalidInput("This line is empty.", fix="Remove it.")
    try:
        value = json.loads(line, object_pairs_hook=_object)
    except (ValueError, RecursionError) as fault:
        raise InvalidInput(f"This is not JSON ({fault}).", fix="Write one JSON object on each line.") from fault
    match value:
        case {"messages": list(items)}:
            return Row(tuple(_message(item, at) for at, item in enumerate(items)))
        case {"prompt": str(prompt), "completion": str(completion)}:
            return Row.of(prompt, completion)
    raise InvalidInput(
        'A row is {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]} '
        'or {"prompt": "...", "completion": "..."}.'
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys occur once: of two values, which one was meant?"""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidInput(f"The key {twice[:40]!r} occurs twice in one object.", fix="Keep one of them.")
    return found


def _message(item: Any, at: int) -> Message:
    match item:
        case {"role": str(role), "content": str(content)}:
            if role not in set(Role):
                raise InvalidInput(
                    f"Unknown role {role[:40]!r}; it must be system, user or assistant.", field=f"messages[{at}].role"
                )
            return Message(Role(role), content)
    raise InvalidInput(
        'A message is {"role": "user", "content": "..."}, with a text as its content.', field=f"messages[{at}]"
    )
