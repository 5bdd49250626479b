"""SHA-256 digests and the one byte string that stands for a JSON value.

Two values that are equal have the same canonical bytes, and two different values never do, so that a digest or a
signature over the bytes is one over the value. Does *not* know what is hashed: every caller names its own domain.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from typing import NoReturn, TypeAlias

from node.errors import IntegrityFailure, InvalidInput

Json: TypeAlias = bool | int | str | Sequence["Json"] | Mapping[str, "Json"] | None
"""What a signed document may hold. No floats: their spelling differs between languages; carry integers or text."""

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 7493, section 2.2)."""

MAX_DEPTH = 64
"""Lists and objects may be nested this deep, far above any document of ours and far below Python's own limit."""

_SPELLING = re.compile(r"sha256:([0-9a-f]{64})")
_DOMAIN = re.compile(r"[a-z0-9][a-z0-9./-]*")
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A SHA-256 value. `str()` spells it `sha256:` and 64 lower-case hexadecimal digits."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != hashlib.sha256().digest_size:
            raise InvalidInput(f"A SHA-256 digest has 32 bytes, not {len(self.raw)}.", field="digest")

    def __str__(self) -> str:
        return f"sha256:{self.hex}"

    @property
    def hex(self) -> str:
        return self.raw.hex()

    @classmethod
    def parse(cls, text: str) -> Digest:
        """The inverse of `str()`. Raises InvalidInput for every other spelling, upper case and white space included."""
        match = _SPELLING.fullmatch(text)
        if match is None:
            raise InvalidInput("A digest is spelled 'sha256:' and 64 lower-case hexadecimal digits.", field="digest")
        return cls(bytes.fromhex(match[1]))


def digest(domain: str, data: bytes) -> Digest:
    """SHA-256 of `"hallmark:" + domain + NUL + data`.

    A domain holds no NUL, so the first one ends it and no two (domain, data) share an input. The leading `h` keeps
    these inputs apart from Merkle leaves (0x00) and nodes (0x01). Raises InvalidInput for an unusable domain.
    """
    if _DOMAIN.fullmatch(domain) is None:
        raise InvalidInput("A digest's domain is lower-case ASCII: letters, digits, '.', '/' and '-'.", field="domain")
    return sha256_digest(b"hallmark:" + domain.encode() + b"\0" + data)


def sha256_digest(data: bytes) -> Digest:
    """Plain SHA-256, as `sha256sum` prints it: for files and blobs that others hash as well."""
    return Digest(hashlib.sha256(data).digest())


def file_digest(file: BufferedReader) -> Digest:
    """`sha256_digest` of an open file, read in pieces."""
    return Digest(hashlib.file_digest(file, "sha256").digest())


def canonical_bytes(value: Json) -> bytes:
    """The JSON Canonicalization Scheme (RFC 8785) for values without floats, as UTF-8.

    Keys in the order of their UTF-16 code units, no white space, and only such escapes as JSON cannot do without.
    Raises TypeError for a type that JSON or this subset lacks (a float, bytes, a key that is not text), and
    InvalidInput for an integer beyond +-(2**53 - 1), an unpaired surrogate, or nesting deeper than MAX_DEPTH.
    """
    return _ENCODER.encode(_ordered(value, MAX_DEPTH)).encode()


def parse_canonical(data: bytes) -> Json:
    """The value whose canonical encoding is exactly `data`; lists come back as `list`, objects as `dict`.

    Raises IntegrityFailure for everything else: other spellings of the same value (white space, order, escapes,
    repeated keys, `-0`), floats, broken UTF-8, broken JSON, and nesting deeper than MAX_DEPTH.
    """
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
        raise IntegrityFailure(f"The document is nested deeper than {MAX_DEPTH} levels.")
    try:
        value: Json = _DECODER.decode(data.decode())
        # the parser has checked everything but order and spelling, and in ASCII json's own order is the canonical one
        encoded = _SORTING_ENCODER.encode(value).encode() if data.isascii() else canonical_bytes(value)
    except (ValueError, InvalidInput) as error:
        raise IntegrityFailure(f"The document is not canonical JSON: {error}") from error
    if encoded != data:
        raise IntegrityFailure(
            "The document differs from the canonical encoding of its own content.",
            expected=str(sha256_digest(encoded)),
            actual=str(sha256_digest(data)),
        )
    return value


def _ordered(value: Json, levels_left: int) -> Json:
    """A copy of `value` that json spells canonically: whatever RFC 8785 asks for beyond what json does by itself."""
    if isinstance(value, str):
        if not value.isascii():
            _utf16(value)
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _safe(value)
    if not isinstance(value, list | tuple | dict):
        raise TypeError(f"{type(value).__name__} has no canonical JSON form")
    if levels_left == 0:
        raise InvalidInput(f"A document may be nested at most {MAX_DEPTH} levels deep.")
    if isinstance(value, dict):
        ordered = sorted(value) if "".join(value).isascii() else sorted(value, key=_utf16)
        return {key: _ordered(value[key], levels_left - 1) for key in ordered}
    return [_ordered(item, levels_left - 1) for item in value]


def _safe(number: int) -> int:
    if abs(number) > MAX_SAFE_INTEGER:
        raise InvalidInput("An integer beyond +-(2**53 - 1) does not survive every JSON reader: write it as text.")
    return number


def _utf16(text: str) -> bytes:
    """Sorting key of RFC 8785, section 3.2.3: bytes whose order is the order of UTF-16 code units."""
    try:
        return text.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise InvalidInput("Text with an unpaired surrogate has no UTF-8 form.") from error


def _depth(data: bytes) -> int:
    """Deepest nesting of brackets outside strings, in one pass and without recursion."""
    depth = deepest = 0
    for match in _STRING_OR_BRACKET.finditer(data):
        token = match[0]
        if token in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in b"]}":
            depth -= 1
    return deepest


def _refuse_float(spelling: str) -> NoReturn:
    raise InvalidInput(f"{spelling} is not an integer.")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_SORTING_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
_DECODER = json.JSONDecoder(
    parse_int=lambda spelling: _safe(int(spelling)), parse_float=_refuse_float, parse_constant=_refuse_float
)
