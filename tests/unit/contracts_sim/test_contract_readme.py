"""The README draws what the contract does, and importing the contract pulls in nothing but the standard library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import contracts_sim
from contracts_sim import diagram, table

FOLDER = Path(contracts_sim.__file__).parent


def test_the_readme_shows_the_diagram_and_both_tables_of_this_contract():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{diagram.mermaid()}\n```" in readme
    assert f"\n\n{diagram.calls()}\n\n" in readme
    assert f"\n\n{diagram.payouts()}\n\n" in readme


def test_the_diagram_has_every_state_and_call():
    drawn = diagram.mermaid()
    assert all(state.value in drawn for state in table.State)
    assert all(row.call in drawn for row in table.TABLE)


def test_the_contract_needs_the_standard_library_only():
    script = (
        "import sys; import contracts_sim, contracts_sim.diagram; "
        "names = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names); "
        "print(sorted(name for name in names if not name.startswith('_')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "['contracts_sim']"
