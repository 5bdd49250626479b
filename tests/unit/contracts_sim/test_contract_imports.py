"""Importing the contract pulls in nothing but the standard library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import contracts_sim

FOLDER = Path(contracts_sim.__file__).parent


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
