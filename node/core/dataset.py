"""A data set as bytes: JSON Lines of chat messages or prompt/completion. Knows no tokens, no files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from node.core import document
from node.core.rows import Message, Role, Row
from node.errors import InvalidInput

MAX_ERRORS = 100
#: A parsed file takes tens of times its size in memory, and every offer over it is parsed anew.
MAX_BYTES = 64 << 20


def parse(data: bytes) -> tuple[Row, ...]:
    """Rows of a JSON Lines file. A BOM and CRLF line ends are tolerated; blank lines are not.

    A line is `{"messages": [{"role": ..., "content": ...}, ...]}` or `{"prompt": "...", "completion": "..."}`.

    Raises:
        InvalidInput: the message lists up to 100 wrong lines, each with its number, JSON path and reason; `line` is
            the first of them.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise InvalidInput(
            f"Line {line} is not UTF-8 text.", fix="Save the file as UTF-8 JSON Lines.", line=line
        ) from fault
    rows: list[Row] = []
    faults: list[tuple[int, str]] = []
    for number, line_text in enumerate(text.removesuffix("\n").split("\n"), start=1):
        try:
            rows.append(_row(line_text.removesuffix("\r")))
        except InvalidInput as fault:
            faults.append((number, f"line {number}, {fault.facts['field']}: {fault}"))
            if len(faults) == MAX_ERRORS:
                break
    if faults:
        raise InvalidInput(
            f"{len(faults)}{'+' if len(faults) == MAX_ERRORS else ''} wrong line(s): "
            + "; ".join(message for _, message in faults),
            fix="Nothing was stored. Mend these lines and send the file again.",
            line=faults[0][0],
        )
    return tuple(rows)


def to_jsonl(rows: Sequence[Row]) -> bytes:
    """Rows as canonical JSON Lines; `parse` reads them back."""
    return b"".join(document.to_bytes(row) + b"\n" for row in rows)


def _row(line: str) -> Row:
    if not line.strip():
        raise InvalidInput("This line is empty.", fix="Remove it.", field="$")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as fault:
        raise InvalidInput(f"This is not JSON ({fault}).", field="$") from fault
    match value:
        case {"messages": list(items)}:
            return Row(tuple(_message(item, at) for at, item in enumerate(items)))
        case {"prompt": str(prompt), "completion": str(completion)}:
            return Row.of(prompt, completion)
    raise InvalidInput(
        'A row is {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]} '
        'or {"prompt": "...", "completion": "..."}.',
        field="$",
    )


def _message(item: Any, at: int) -> Message:
    match item:
        case {"role": str(role), "content": str(content)}:
            if role not in set(Role):
                raise InvalidInput(
                    f"Unknown role {role[:40]!r}; it must be system, user or assistant.", field=f"messages[{at}].role"
                )
            return Message(Role(role), content)
    raise InvalidInput("A message is an object with a role and a text.", field=f"messages[{at}]")
