"""No type that a provider's process holds, or that the coordinator answers it with, has room for a manifest's secret.

Derived: what is secret from the manifest's fields, what the process holds from what its code names, lazily or not.
Planted secrets show that the walk finds them.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Iterable
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any

import pytest
from architecture.reach import before_delivery, documents, imports, named, reached, returned

from node.core.manifest import Manifest
from node.core.marks import Draw, Group, Mark, Pair, Phrase
from node.core.messages import FOLLOWERS, AdapterCommit, Chain, Reveal
from node.core.policy import Policy
from node.core.rows import Row
from node.provider.work import Held

NODE = Path(__file__).parents[2] / "node"
PROVIDER = sorted((NODE / "provider").glob("*.py"))
SECRET = documents(Manifest) - documents(Row) - documents(Policy)


def secrets_in(things: Iterable[Any]) -> set[Any]:
    return reached(things) & SECRET


def said_in(source: str) -> list[Any]:
    """Whatever code names of packages of ours, the provider's own left out: each of its modules is read itself."""
    tree = ast.parse(source)
    return list(named(tree, dict(imports(tree, but="node.provider"))))


def part_of(source: str, function: str) -> str:
    """A module's imports, a function of it, and those functions of the same module that it leads to."""
    body = ast.parse(source).body
    functions = {each.name: each for each in body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    led_to = [function]
    for name in led_to:
        names = {each.id for each in ast.walk(functions[name]) if isinstance(each, ast.Name)}
        led_to += sorted((names & functions.keys()).difference(led_to))
    kept = [each for each in body if isinstance(each, ast.ImportFrom | ast.If)] + [functions[each] for each in led_to]
    return ast.unparse(ast.Module(kept, []))


def test_what_is_secret_follows_from_the_manifest() -> None:
    assert {Manifest, Group, Phrase, Draw, Mark, Pair} <= SECRET
    assert not {Row, Chain} & SECRET


@pytest.mark.parametrize("file", PROVIDER, ids=lambda file: file.name)
def test_no_type_that_the_providers_code_names_holds_a_secret(file: Path) -> None:
    assert secrets_in(said_in(file.read_text(encoding="utf-8"))) == set()


def test_the_walk_goes_far() -> None:
    said = [each for file in PROVIDER for each in said_in(file.read_text(encoding="utf-8"))]
    assert {Chain, Row, Policy, AdapterCommit} < reached(said)


def test_nothing_that_starts_a_provider_gives_it_a_secret() -> None:
    said = said_in(part_of((NODE / "bootstrap.py").read_text(encoding="utf-8"), "run_provider"))
    assert len(reached(said)) > 20
    assert secrets_in(said) == set()


def test_no_answer_of_the_coordinator_to_a_provider_holds_a_secret() -> None:
    tree = ast.parse((NODE / "coordinator" / "services" / "providers.py").read_text(encoding="utf-8"))
    said = named(tree, dict(imports(tree)))
    verbs = [each for each in said if isinstance(each, types.FunctionType) and "node.workflow" in each.__module__]
    assert len(verbs) >= 7
    assert secrets_in(part for verb in verbs for part in returned(verb)) == set()


@pytest.mark.parametrize(
    "line",
    [
        "from node.core.manifest import Manifest\nheld: Manifest",
        "def later() -> None:\n    from node.core.marks import Pair\n    Pair(0, 0, None, None)",
        "from node.core import marks\nheld: list[marks.Mark] = []",
        "from node.core.manifest import plant\nmade = plant",
        "from node.core.messages import Reveal\nheld: tuple[Reveal, ...]",
        "from node.ports.unit_of_work import UnitOfWork\nunit: UnitOfWork",
    ],
)
def test_a_secret_planted_in_the_providers_code_is_found(line: str) -> None:
    source = (NODE / "provider" / "work.py").read_text(encoding="utf-8")
    assert secrets_in(said_in(f"{source}\n{line}\n"))


@pytest.mark.parametrize("hint", [Mark, tuple[Pair, ...], dict[str, Group | None], Callable[[Phrase], None], Reveal])
def test_a_secret_planted_in_a_field_is_found(hint: Any) -> None:
    planted = make_dataclass("Planted", [("more", hint)], bases=(Held,), frozen=True)
    planted.__module__ = Held.__module__
    assert secrets_in([planted])
    assert not secrets_in([Held])


def test_a_chain_has_no_reveal_before_the_provider_is_bound_to_its_adapter() -> None:
    assert all(not secrets_in([kind]) for kind in before_delivery())
    possible: set[type[Any] | None] = {None}
    while grown := {each for kind in possible for each in FOLLOWERS[kind]} - possible - {AdapterCommit}:
        possible |= grown
    assert Reveal not in possible
