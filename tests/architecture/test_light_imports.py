"""What starts fast stays fast: neither `hallmark --help` nor the middle loads a heavy library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = frozenset(
    {
        "torch",
        "ray",
        "vllm",
        "transformers",
        "peft",
        "trl",
        "datasets",
        "grpc",
        "google.protobuf",
        "sqlalchemy",
        "scipy",
        "numpy",
        "opentelemetry",
        "prometheus_client",
        "structlog",
    }
)
REPORT = "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
HELP = """
import sys
sys.argv = ["hallmark", *{arguments}]
from node.cli.app import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
"""


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + REPORT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        *([name, "--help"] for name in ("demo", "plan", "calibrate", "vet", "verify", "init", "admit")),
        ["receipt", "verify", "--help"],
        ["bench", "verifier", "--help"],
        *([name, "--help"] for name in ("data", "job", "account")),
        ["job", "create", "--help"],
        *([name, "run", "--help"] for name in ("coordinator", "provider")),
        ["config", "show", "--help"],
    ],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_by(HELP.format(arguments=arguments)) == set()


def test_the_middle_loads_nothing_heavy() -> None:
    packages = ("core", "crypto", "stats", "ports", "marking", "workflow", "errors")
    files = [file for name in packages for file in [*(ROOT / "node" / name).glob("*.py"), ROOT / "node" / f"{name}.py"]]
    modules = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in files
        if file.exists()
    ]
    assert len(modules) > 40
    assert loaded_by(f"import {', '.join(modules)}") == set()


def test_the_escrow_contract_needs_the_standard_library_alone() -> None:
    code = "import contracts_sim, contracts_sim.memory, contracts_sim.diagram"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {os.fspath(ROOT)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_tests_fakes_load_nothing_heavy_but_the_database() -> None:
    tests = os.fspath(ROOT / "tests")
    code = f"import sys; sys.path.insert(0, {tests!r})\nimport fakes.world, fakes.fine_tuner"
    assert loaded_by(code) == {"sqlalchemy"}
