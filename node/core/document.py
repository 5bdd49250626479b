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
from enum import StrEnum
from typing import Any, TypeVar

from node.crypto.digest import Digest, Json, canonical_bytes, parse_canonical
from node.errors import HallmarkError, IntegrityFailure

T = TypeVar("T")


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
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no place in a signed document")


def from_json(kind: type[T], data: Json, *, path: str = "$") -> T:
    """Reads a parsed document.

    Raises:
        IntegrityFailure: naming the path of the first field that does not fit.
    """
    value: T = _read(kind, data, path)
    return value


def _read(kind: Any, data: Json, path: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (option for option in typing.get_args(kind) if option is not types.NoneType)
        return None if data is None else _read(inner, data, path)
    if origin is tuple:
        if not isinstance(data, list):
            raise _unfit(path, "a list", data)
        inner = typing.get_args(kind)[0]
        return tuple(_read(inner, item, f"{path}[{at}]") for at, item in enumerate(data))
    if kind in (str, int, bool):
        if type(data) is not kind:
            raise _unfit(path, kind.__name__, data)
        return data
    if issubclass(kind, StrEnum):
        values = [each.value for each in kind]
        if data not in values:
            found = repr(data[:40]) if isinstance(data, str) else type(data).__name__
            raise IntegrityFailure(f"At {path}: expected one of {', '.join(values)}, found {found}.", field=path)
        return kind(data)
    if not isinstance(data, str if kind is Digest else dict):
        raise _unfit(path, kind.__name__, data)
    try:
        if kind is Digest:
            return Digest.parse(typing.cast(str, data))
        return _read_dataclass(kind, typing.cast("dict[str, Json]", data), path)
    except IntegrityFailure:
        raise
    except (HallmarkError, ValueError) as refusal:
        raise IntegrityFailure(f"At {path}: {refusal}", field=path) from refusal


def _read_dataclass(kind: type, data: dict[str, Json], path: str) -> Any:
    fields = _field_types(kind)
    if data.keys() != fields.keys():
        missing, unknown = sorted(fields.keys() - data.keys()), sorted(data.keys() - fields.keys())
        raise IntegrityFailure(
            f"At {path}: a {kind.__name__} has other fields (missing {missing}, unknown {unknown}).", field=path
        )
    return kind(**{name: _read(inner, data[name], f"{path}.{name}") for name, inner in fields.items()})


@functools.cache
def _field_types(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _unfit(path: str, expected: str, actual: Json) -> IntegrityFailure:
    return IntegrityFailure(f"At {path}: expected {expected}, found {type(actual).__name__}.", field=path)
