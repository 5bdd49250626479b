"""The directions of import, as import-linter contracts; and proof that a planted import breaks them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = Path(__file__).with_name("importlinter.ini")


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    command = [program, "--config", CONTRACTS, "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_every_import_goes_down_the_rows() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "4 kept, 0 broken" in done.stdout


PLANTED = {
    "up a row": ("node/core/rows.py", "from node.workflow import queries", "node.core is not allowed to import node"),
    "up into an edge, inside a function": (
        "node/workflow/queries.py",
        "def later():\n    import node.storage.blobs",
        "node.workflow is not allowed to import node.storage",
    ),
    "across one row": (
        "node/storage/keys.py",
        "import node.settlement.escrow",
        "node.storage is not allowed to import node.settlement",
    ),
    "around settlement": ("node/coordinator/worker.py", "import contracts_sim", "Only settlement knows"),
    "out of the contract": ("contracts_sim/money.py", "import node.errors", "The escrow contract stands alone"),
    "a heavy library in the middle": ("node/marking/layout.py", "import torch", "The middle names no library"),
    "a package without a row": ("node/helpers/__init__.py", '"""Lost."""', "helpers"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_forbidden_import_is_found(tmp_path: Path, what: str) -> None:
    file, line, told = PLANTED[what]
    for package in ("node", "contracts_sim"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    planted = tmp_path / file
    planted.parent.mkdir(exist_ok=True)
    with planted.open("a", encoding="utf-8") as out:
        out.write(f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode != 0
    assert told in done.stdout
