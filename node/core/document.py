"""Frozen dataclasses to canonical JSON documents and back, strictly: what is signed has one spelling and one reading.

Supported field types: str, int, bool, `Digest`, `StrEnum`, tuples of one type, `X | None`, and dataclasses of these.
Floats have no place in a signed document: probabilities are integers with their unit in the name.
Knows nothing of which documents exist.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from node.crypto.digest import Digest, Json, canonical_bytes, parse_canonical
from node.errors import HallmarkError, IntegrityFailure

T = TypeVar("T")
#: (parsed JSON, its path) -> the value.
Reader = Callable[[Json, str], Any]


def to_bytes(value: Any) -> bytes:
    """The one canonical spelling of a dataclass document."""
    return canonical_bytes(to_json(value))


def from_bytes(kind: type[T], data: bytes) -> T:
    """Reads a document; its bytes must be the canonical spelling.

    Raises:
        IntegrityFailure: not canonical, a field is missing, unknown or of another type, or a value is out of range.
    """
    return from_json(kind, parse_canonical(data))


def to_json(value: Any) -> Json:
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Digest):
        return str(value)
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_json(getattr(value, name)) for name in _names(type(value))}
    raise TypeError(f"{type(value).__name__} has no place in a signed document")


def from_json(kind: type[T], data: Json, *, path: str = "$") -> T:
    """Reads a parsed document.

    Raises:
        IntegrityFailure: naming the path of the first field that does not fit.
    """
    value: T = _reader(typing.cast(Any, kind))(data, path)
    return value


@functools.cache
def _reader(kind: Any) -> Reader:
    """What reads a value of this kind, found out once: a document has many fields, and a job many documents."""
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (option for option in typing.get_args(kind) if option is not types.NoneType)
        return functools.partial(_read_optional, _reader(inner))
    if origin is tuple:
        return functools.partial(_read_tuple, _reader(typing.get_args(kind)[0]))
    if kind in (str, int, bool):
        return functools.partial(_read_plain, kind)
    if issubclass(kind, StrEnum):
        return functools.partial(_read_enum, kind, {each.value: each for each in kind})
    if kind is Digest:
        return _read_digest
    hints = typing.get_type_hints(kind)
    return functools.partial(_read_dataclass, kind, {name: _reader(hints[name]) for name in _names(kind)})


@functools.cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _read_optional(inner: Reader, data: Json, path: str) -> Any:
    return None if data is None else inner(data, path)


def _read_tuple(inner: Reader, data: Json, path: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise _unfit(path, "a list", data)
    return tuple(inner(item, f"{path}[{at}]") for at, item in enumerate(data))


def _read_plain(kind: type, data: Json, path: str) -> Any:
    if type(data) is not kind:
        raise _unfit(path, kind.__name__, data)
    return data


def _read_enum(kind: type[StrEnum], values: Mapping[str, StrEnum], data: Json, path: str) -> StrEnum:
    if not isinstance(data, str) or data not in values:
        found = repr(data[:40]) if isinstance(data, str) else type(data).__name__
        raise IntegrityFailure(f"At {path}: expected one of {', '.join(values)}, found {found}.", field=path)
    return values[data]


def _read_digest(data: Json, path: str) -> Digest:
    if not isinstance(data, str):
        raise _unfit(path, Digest.__name__, data)
    try:
        return Digest.parse(data)
    except HallmarkError as refusal:
        raise _refused(path, refusal) from refusal


def _read_dataclass(kind: type, readers: Mapping[str, Reader], data: Json, path: str) -> Any:
    if not isinstance(data, dict):
        raise _unfit(path, kind.__name__, data)
    if data.keys() != readers.keys():
        missing, unknown = sorted(readers.keys() - data.keys()), sorted(data.keys() - readers.keys())
        raise IntegrityFailure(
            f"At {path}: a {kind.__name__} has other fields (missing {missing}, unknown {unknown}).", field=path
        )
    values = {name: read(data[name], f"{path}.{name}") for name, read in readers.items()}
    try:
        return kind(**values)
    except IntegrityFailure:
        raise
    except (HallmarkError, ValueError) as refusal:
        raise _refused(path, refusal) from refusal


def _refused(path: str, refusal: Exception) -> IntegrityFailure:
    return IntegrityFailure(f"At {path}: {refusal}", field=path)


def _unfit(path: str, expected: str, actual: Json) -> IntegrityFailure:
    return IntegrityFailure(f"At {path}: expected {expected}, found {type(actual).__name__}.", field=path)
