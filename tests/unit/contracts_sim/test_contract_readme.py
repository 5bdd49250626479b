"""The README draws what the contract does."""

from __future__ import annotations

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
