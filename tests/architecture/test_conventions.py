"""Small promises of the tree that no other tool keeps."""

from __future__ import annotations

import ast
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

import pytest

from node import errors
from node.cli.app import EXIT_CODES, exit_code
from node.wire import status

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "node" / "wire" / "hallmark"
MODULES = sorted(
    file
    for package in ("node", "contracts_sim", "proto", "tests/fakes", "tests/architecture")
    for file in (ROOT / package).rglob("*.py")
    if GENERATED not in file.parents and file.read_text(encoding="utf-8").strip()
)
ERRORS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.HallmarkError) and kind is not errors.HallmarkError
]


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_module_says_what_it_is(file: Path) -> None:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    assert docstring.split("\n", 1)[0].strip()


def test_proto_is_no_importable_package() -> None:
    assert not list((ROOT / "proto").rglob("__init__.py"))


def test_tests_are_no_packages_and_no_two_files_share_a_name() -> None:
    files = [file for file in (ROOT / "tests").rglob("*.py") if file.name != "conftest.py"]
    assert not [file for file in files if file.name == "__init__.py"]
    tests = [file.name for file in files if file.name.startswith("test_")]
    assert sorted(tests) == sorted(set(tests))


@pytest.mark.parametrize("kind", ERRORS)
def test_every_public_error_has_a_status_and_an_exit_code(kind: type[errors.HallmarkError]) -> None:
    assert status.status_of(kind("said")).name != "OK"
    assert exit_code(kind("said")) not in (0, 1, 130)


@pytest.mark.parametrize("rows", [status.STATUSES, EXIT_CODES], ids=["statuses", "exit codes"])
def test_no_row_of_the_error_tables_hides_a_later_one(rows: tuple[tuple[type, object], ...]) -> None:
    kinds = [kind for kind, _ in rows]
    for at, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:at])


def test_the_error_tree_is_drawn_as_it_is() -> None:
    assert {kind.__name__ for kind in ERRORS} <= set((errors.__doc__ or "").replace("`", " ").split())


def test_generated_code_is_what_the_proto_files_generate(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    _generator().generate(tmp_path)
    fresh = {file.relative_to(tmp_path / "hallmark"): file.read_bytes() for file in _files(tmp_path / "hallmark")}
    committed = {file.relative_to(GENERATED): file.read_bytes() for file in _files(GENERATED)}
    assert fresh.keys() == committed.keys()
    assert [str(name) for name in fresh if fresh[name] != committed[name]] == []


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*.py*") if "__pycache__" not in file.parts]


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "proto" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
