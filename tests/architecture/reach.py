"""What types have room for: from classes and functions of ours along their annotations to everything these lead to.

Knows nothing of what is secret. A class stands for its fields, and for what its methods take and return.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from node.core.messages import FOLLOWERS, AdapterCommit, Message


def before_delivery() -> frozenset[type]:
    """The kinds of messages that can stand in a chain up to the provider's commitment to its adapter, by the table."""
    found: set[type] = {AdapterCommit}
    while grown := {kind for kind, after in FOLLOWERS.items() if kind and found & set(after)} - found:
        found |= grown
    return frozenset(found)


def ours(thing: Any) -> bool:
    module = getattr(thing, "__module__", None) or ""
    return isinstance(thing, type | types.FunctionType) and module.startswith("node.") and "_pb2" not in module


def reached(things: Iterable[Any]) -> set[Any]:
    """These classes and functions, and all that their annotations lead to."""
    return _closure(things, _annotations)


def documents(kind: type) -> set[Any]:
    """A dataclass and the classes of ours inside its fields; what methods name does not count."""
    return _closure([kind], lambda thing: _hints(thing) if is_dataclass(thing) else ())


def returned(function: types.FunctionType) -> list[Any]:
    """The classes in what a function gives back."""
    return list(
        _inside(inspect.get_annotations(function, globals=_names_of(function.__module__), eval_str=True)["return"])
    )


def _closure(things: Iterable[Any], annotations: typing.Callable[[Any], Iterable[Any]]) -> set[Any]:
    found: set[Any] = set()
    waiting = list(things)
    while waiting:
        thing = waiting.pop()
        if ours(thing) and thing not in found:
            found.add(thing)
            waiting += [part for hint in annotations(thing) for part in _inside(hint)]
    return found


def _inside(hint: Any) -> Iterator[Any]:
    """The classes that an annotation names. Of all kinds of messages together, those that stand before delivery."""
    if isinstance(hint, list):  # the parameters of a Callable
        arguments: Iterable[Any] = hint
    else:
        arguments = before_delivery() if hint == Message else typing.get_args(hint)
    yield hint
    for each in arguments:
        yield from _inside(each)


def _annotations(thing: Any) -> Iterator[Any]:
    yield from _hints(thing)
    if isinstance(thing, type):
        yield from thing.__bases__
        for member in vars(thing).values():
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            yield from _hints(function)


def _hints(thing: Any) -> Iterable[Any]:
    return (
        inspect.get_annotations(thing, globals=_names_of(thing.__module__), eval_str=True).values()
        if ours(thing)
        else ()
    )


@cache
def _names_of(module: str) -> dict[str, Any]:
    """All names of a module, also those that it has for its annotations alone."""
    loaded = importlib.import_module(module)
    names = dict(vars(loaded))
    for each in ast.parse(Path(str(loaded.__file__)).read_text(encoding="utf-8")).body:
        if isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING":
            exec(compile(ast.Module(each.body, []), str(loaded.__file__), "exec"), names)  # noqa: S102 (our own code)
    return names


def imports(tree: ast.AST, *, but: str = " ") -> Iterator[tuple[str, Any]]:
    """Name and object of whatever is imported from packages of ours, anywhere in the code, `but` for one package."""
    for each in ast.walk(tree):
        if isinstance(each, ast.ImportFrom) and f"{each.module}.".startswith("node.") and not _within(each.module, but):
            for alias in each.names:
                yield alias.asname or alias.name, _imported(str(each.module), alias.name)


def _within(module: str | None, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def _imported(module: str, name: str) -> Any:
    names = _names_of(module)
    return names[name] if name in names else importlib.import_module(f"{module}.{name}")


def named(tree: ast.AST, names: dict[str, Any]) -> Iterator[Any]:
    """What the code says of `names`, be it by name or as an attribute of a module among them."""
    for each in ast.walk(tree):
        if isinstance(each, ast.Name) and each.id in names:
            yield names[each.id]
        elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
            module = names.get(each.value.id)
            if isinstance(module, types.ModuleType):
                yield getattr(module, each.attr)
