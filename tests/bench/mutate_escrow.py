"""Mutation score of the contract under its own unit tests: `python tests/bench/mutate_escrow.py`.

mutmut changes one thing at a time in a copy of `contracts_sim` and runs the tests that reach it. The slow tests stay
outside: the stateful machine, and the planted bugs, which are a mutation test themselves; so does the one that no
mutant can pass, since mutants import mutmut. Takes ten minutes on one core. Two mutants survive because they are the
same program: they add the letter X to the characters that `quote` leaves alone, and it leaves all letters alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = ("test_contract_mutants.py", "test_contract_machine.py", "test_contract_imports.py", "__pycache__")
TARGET = 0.95
CONFIGURATION = """[mutmut]
source_paths=contracts_sim
pytest_add_cli_args_test_selection=tests
use_git_change_detection=false

[tool:pytest]
addopts=--import-mode=importlib -q
"""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="mutate-escrow-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "contracts_sim", folder / "contracts_sim", ignore=shutil.ignore_patterns(*LEFT_OUT))
        shutil.copytree(ROOT / "tests/unit/contracts_sim", folder / "tests", ignore=shutil.ignore_patterns(*LEFT_OUT))
        (folder / "setup.cfg").write_text(CONFIGURATION)
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

        def mutmut(*arguments: str) -> str:
            command = [sys.executable, "-m", "mutmut", *arguments]
            return subprocess.run(
                command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
            ).stdout

        mutmut("run")
        mutmut("export-cicd-stats")
        counts = json.loads((folder / "mutants/mutmut-cicd-stats.json").read_text())
        for line in mutmut("results").splitlines():
            print(line, mutmut("show", line.partition(":")[0].strip()), sep="\n")
    caught = counts["killed"] + counts["timeout"]
    score = caught / counts["total"]
    print(f"figure: {caught} of {counts['total']} mutants caught, {score:.1%}")
    print(f"target: {TARGET:.0%}")
    print("met" if score >= TARGET else "not met")
    return 0 if score >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
