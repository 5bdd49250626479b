"""Bugs that escrows have had, planted one at a time into a copy of the contract: the other tests here must fail.

What is planted says what would go wrong; a patch that no longer applies fails as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import contracts_sim

TESTS = Path(__file__).parent
NOT_AGAIN = (
    "test_contract_mutants.py",
    "test_contract_machine.py",
    "test_contract_readme.py",
    "test_contract_imports.py",
)

PLANTED = {
    "an empty account goes on paying, so a refund follows a withdrawal": (
        "ledger.py",
        "transfer.debit != EXTERNAL and after[debit].available < 0",
        "False",
    ),
    "money on hold can be withdrawn": ("ledger.py", "return self.balance - self.debits_pending", "return self.balance"),
    "a voided hold is paid after all": (
        "ledger.py",
        "            return 0, -minor",
        "            return minor, -minor",
    ),
    "an expired job is refunded again": (
        "table.py",
        "TABLE = (",
        'TABLE = (\n    Row(State.EXPIRED, "claim_refund", ANYBODY, _ALWAYS, (Ending.ABORTED,)),',
    ),
    "a job settles twice": (
        "contract.py",
        "replace(job, state=state, since=call.time, deadline=None, ending=ending)",
        "replace(job, since=call.time, ending=ending)",
    ),
    "a disputed job can be funded": (
        "table.py",
        "TABLE = (",
        'TABLE = (\n    Row(State.CHALLENGED, "fund", _SIGNERS, _BEFORE, (State.FUNDED,)),',
    ),
    "at its deadline a job is neither alive nor over": (
        "contract.py",
        "row.when is When.AFTER and not overdue",
        "row.when is When.AFTER and not (job.deadline is not None and call.time > job.deadline)",
    ),
    "the deadline itself is still in time": (
        "contract.py",
        "overdue = job.deadline is not None and call.time >= job.deadline",
        "overdue = job.deadline is not None and call.time > job.deadline",
    ),
    "a state inherits the deadline of the one before": (
        "contract.py",
        "deadline = call.time + int(",
        "deadline = job.since + int(",
    ),
    "the evaluator earns the forfeited stake": (
        "table.py",
        "Ending.FORFEITED: Payout(State.EXPIRED, _BACK_TO_CLIENT, Split(Role.CLIENT), _BACK_TO_EVALUATOR)",
        "Ending.FORFEITED: Payout(State.EXPIRED, _BACK_TO_CLIENT, Split(Role.EVALUATOR), _BACK_TO_EVALUATOR)",
    ),
    "a rejection pays the evaluator no fee": (
        "table.py",
        'State.REJECTED, _BACK_TO_CLIENT, Split(Role.PROVIDER, "fee_minor", Role.EVALUATOR), _BACK_TO_EVALUATOR',
        "State.REJECTED, _BACK_TO_CLIENT, _BACK_TO_PROVIDER, _BACK_TO_EVALUATOR",
    ),
    "an inconclusive verdict keeps the stake": (
        "table.py",
        'Split(Role.CLIENT, "fee_minor", Role.EVALUATOR), _BACK_TO_PROVIDER',
        'Split(Role.CLIENT, "fee_minor", Role.EVALUATOR), Split(Role.CLIENT)',
    ),
    "a silent evaluator pays nothing": (
        "table.py",
        'State.EXPIRED, _BACK_TO_CLIENT, _BACK_TO_PROVIDER, Split(Role.EVALUATOR, "price_minor", Role.PROVIDER)',
        "State.EXPIRED, _BACK_TO_CLIENT, _BACK_TO_PROVIDER, _BACK_TO_EVALUATOR",
    ),
    "a request id may be used for two things": ("contract.py", "seen is not None and seen.content != content", "False"),
    "a repeated request is carried out again": (
        "memory.py",
        "return self._requests.get((caller, request_id))",
        "return None",
    ),
    "request ids are everybody's": (
        "memory.py",
        "return self._requests.get((caller, request_id))",
        "return next((each for each in self.transactions if each.request_id == request_id), None)",
    ),
    "a hold is released twice": ("contract.py", "if hold.state is not HoldState.PENDING:", "if False:"),
    "a challenge costs nothing to open": ("contract.py", "challenged, moves=(bond,))", "challenged)"),
    "a refuted evaluator keeps its bond": (
        "payout.py",
        "burned_bond = at_risk if loser is Role.EVALUATOR else 0",
        "burned_bond = 0",
    ),
    "anybody arbitrates": ("table.py", '"arbitrate", _ARBITER', '"arbitrate", ANYBODY'),
    "a verdict is overturned at nobody's cost": (
        "contract.py",
        "verdict is not job.verdict and loser is not Role.EVALUATOR",
        "False",
    ),
    "a fault needs no proof": ("contract.py", "or not self._proves(job, accused, proof)", ""),
    "the provider settles before the challenge window is over": (
        "table.py",
        'Row(State.EVALUATED, "settle", ANYBODY, _AFTER',
        'Row(State.EVALUATED, "settle", ANYBODY, _ALWAYS',
    ),
    "terms are swapped before they are funded": (
        "contract.py",
        "if expected_terms != terms.terms_digest:",
        "if False:",
    ),
    "nobody needs to have signed": ("contract.py", "if not signers <= signed_by:", "if False:"),
    "blocks go back in time": ("contract.py", "if call.time < job.since:", "if False:"),
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the contract, with its tests beside it."""
    copy = tmp_path / "contracts_sim"
    shutil.copytree(Path(contracts_sim.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TESTS, tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__", *NOT_AGAIN))
    return copy


def run_tests(package: Path) -> subprocess.CompletedProcess[str]:
    folder = package.parent
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "--import-mode=importlib", "-c", os.devnull, "tests"],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_copy_without_a_bug_passes(package):
    done = run_tests(package)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_caught(bug, package):
    file, before, after = PLANTED[bug]
    source = (package / file).read_text(encoding="utf-8")
    assert source.count(before) == 1, "the patch does not apply"
    (package / file).write_text(source.replace(before, after), encoding="utf-8")
    done = run_tests(package)
    assert done.returncode == 1, done.stdout[-2000:]
    assert "1 failed" in done.stdout
