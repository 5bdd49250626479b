"""What a client may send as a data set, and how it is told what to mend."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.dataset import MAX_ERRORS, parse
from node.core.rows import Message, Role, Row
from node.errors import InvalidInput

PLAIN = b'{"prompt": "p", "completion": "c"}'
CHAT = json.dumps(
    {
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "p"},
            {"role": "assistant", "content": "c"},
        ]
    }
).encode()


def refused(data: bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as refusal:
        parse(data)
    return refusal.value


def test_both_forms_of_a_row_are_read() -> None:
    plain, chat = parse(PLAIN + b"\n" + CHAT + b"\n")
    assert plain == Row.of("p", "c")
    assert chat == Row((Message(Role.SYSTEM, "s"), *Row.of("p", "c").messages))


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        PLAIN + b"\n",
        b"\xef\xbb\xbf" + PLAIN + b"\n",
        PLAIN + b"\r\n",
        b"\xef\xbb\xbf" + PLAIN + b"\r\n",
    ],
    ids=["no end of line", "line feed", "byte order mark", "carriage return", "both"],
)
def test_how_a_file_ends_its_lines_makes_no_difference(data: bytes) -> None:
    assert parse(data) == (Row.of("p", "c"),)


def test_a_separator_inside_a_text_ends_no_line() -> None:
    rows = parse(json.dumps({"prompt": "a\u2028b\x85c", "completion": "d"}, ensure_ascii=False).encode())
    assert rows == (Row.of("a\u2028b\x85c", "d"),)


WRONG = {
    b"": ("$", "empty"),
    b"   ": ("$", "empty"),
    b"{": ("$", "not JSON"),
    b"[]": ("$", "A row is"),
    b"7": ("$", "A row is"),
    b"null": ("$", "A row is"),
    b'{"prompt": "p"}': ("$", "A row is"),
    b'{"prompt": "p", "completion": null}': ("$", "A row is"),
    b'{"messages": {}}': ("$", "A row is"),
    b'{"messages": []}': ("$.messages", "at least two"),
    b'{"messages": [7]}': ("$.messages[0]", "A message is"),
    b'{"messages": [{"role": "user"}]}': ("$.messages[0]", "A message is"),
    b'{"messages": [{"role": "user", "content": [1]}]}': ("$.messages[0]", "A message is"),
    b'{"messages": [{"role": "robot", "content": "x"}]}': ("$.messages[0].role", "Unknown role"),
    b'{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}': (
        "$.messages[1].role",
        "must be the assistant's",
    ),
    b'{"messages": [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]}': (
        "$.messages[0].role",
        "must be the user's",
    ),
    b'{"messages": [{"role": "user", "content": " "}, {"role": "assistant", "content": "b"}]}': (
        "$.messages[0].content",
        "empty",
    ),
    b'{"prompt": "p", "completion": "\\n"}': ("$.messages[1].content", "empty"),
    b'{"messages": [{"role": "user", "content": "\\ud800"}, {"role": "assistant", "content": "b"}]}': (
        "$.messages[0].content",
        "half a character",
    ),
    b'{"prompt": "\\ud800", "completion": "c"}': ("$.messages[0].content", "half a character"),
    b'{"prompt": "p", "completion": "c\\udfff"}': ("$.messages[1].content", "half a character"),
    b"[" * 100_000: ("$", "not JSON"),
    b'{"a":' * 100_000: ("$", "not JSON"),
    b'{"prompt": "p", "completion": "c", "prompt": "q"}': ("$", "'prompt' occurs twice"),
    b'{"messages": [{"role": "user", "role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}': (
        "$",
        "'role' occurs twice",
    ),
    b'{"prompt": ' + b"9" * 10_000 + b', "completion": "c"}': ("$", "not JSON"),
    b'{"prompt": 1e999, "completion": NaN}': ("$", "A row is"),
}


@pytest.mark.parametrize("line", WRONG, ids=[f"{line[:40]!r}" for line in WRONG])
def test_a_wrong_line_is_refused_with_its_number_its_path_and_the_reason(line: bytes) -> None:
    path, reason = WRONG[line]
    refusal = refused(PLAIN + b"\n" + line + b"\n" + PLAIN + b"\n")
    assert refusal.facts["line"] == 2
    ((place, told),) = refusal.violations
    assert place == f"line 2: {path}"
    assert reason in told
    assert refusal.message == f"1 wrong line(s); the first is {place}: {told}"


def test_an_empty_file_is_refused() -> None:
    for data in (b"", b"\n", b"\xef\xbb\xbf"):
        assert refused(data).facts["line"] == 1


def test_bytes_that_are_no_text_are_refused_with_their_line() -> None:
    assert refused(PLAIN + b"\n\xff\xfe\n").facts["line"] == 2
    assert refused(PLAIN.decode().encode("utf-16")).facts["line"] == 1


def test_all_wrong_lines_are_named_up_to_a_hundred() -> None:
    few = refused(b"x\n" + PLAIN + b"\ny\n")
    assert [place for place, _ in few.violations] == ["line 1: $", "line 3: $"]
    assert few.message.startswith("2 wrong line(s); the first is line 1: $: ")
    many = refused(b"x\n" * (MAX_ERRORS + 50))
    assert many.message.startswith("100+ wrong line(s)")
    assert [place for place, _ in many.violations] == [f"line {line}: $" for line in range(1, MAX_ERRORS + 1)]


def test_what_a_check_refuses_is_told_among_the_other_wrong_lines() -> None:
    seen = []

    def check(row: Row) -> None:
        seen.append(row)
        if row.response == "long":
            raise InvalidInput("This row has 9 tokens.", fix="Shorten it.", field="messages[1]")

    long = json.dumps({"prompt": "p", "completion": "long"}).encode()
    with pytest.raises(InvalidInput) as refusal:
        parse(b"x\n" + PLAIN + b"\n" + long + b"\n", check=check)
    assert refusal.value.violations[1] == ("line 3: $.messages[1]", "This row has 9 tokens. Shorten it.")
    assert seen == [Row.of("p", "c"), Row.of("p", "long")]


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_read_or_refused_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        assert parse(data)
