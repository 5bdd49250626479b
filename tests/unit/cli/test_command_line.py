"""The command line from outside: one line and one exit code for every error, and receipts checked offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.world import JOB, World, build, key

from node import __version__, errors
from node.cli import app
from node.core.job import State
from node.storage.keys import write_trust
from node.workflow import queries


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `hallmark ARGUMENTS`."""
    monkeypatch.setattr("sys.argv", ["hallmark", *arguments])
    try:
        app.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    built = build(tmp_path_factory.mktemp("cli"))
    built.advance_to(State.SETTLED)
    yield built
    built.database.dispose()


@pytest.fixture
def receipt_file(world: World, tmp_path: Path) -> Path:
    file = tmp_path / "job.receipt.json"
    file.write_bytes(queries.receipt(world.node, None, JOB))
    return file


@pytest.fixture
def trust_file(world: World, tmp_path: Path) -> Path:
    file = tmp_path / "trust.json"
    write_trust(file, coordinator=world.node.key.public, log=world.node.log_key.public)
    return file


def test_the_version_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_a_good_receipt_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], receipt_file: Path, trust_file: Path
) -> None:
    assert run(monkeypatch, "receipt", "verify", str(receipt_file), "--trust", str(trust_file)) == 0
    out = capsys.readouterr().out
    assert f"The receipt of job {JOB} holds" in out
    assert "ACCEPT" in out
    assert "client 0, provider 11900, coordinator 10100 CREDIT" in out


def test_a_receipt_is_told_as_json_with_nothing_else_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], receipt_file: Path, trust_file: Path
) -> None:
    assert run(monkeypatch, "receipt", "verify", str(receipt_file), "--trust", str(trust_file), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["job"], told["outcome"], told["groups_fired"]) == (JOB, "accept", 3)


def test_the_trust_file_of_the_nodes_home_is_the_default(
    monkeypatch: pytest.MonkeyPatch, receipt_file: Path, trust_file: Path
) -> None:
    monkeypatch.setenv("HALLMARK_HOME", str(trust_file.parent))
    assert run(monkeypatch, "receipt", "verify", str(receipt_file)) == 0


def test_a_changed_receipt_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], receipt_file: Path, trust_file: Path
) -> None:
    data = bytearray(receipt_file.read_bytes())
    data[len(data) // 2] ^= 1
    receipt_file.write_bytes(data)
    assert run(monkeypatch, "receipt", "verify", str(receipt_file), "--trust", str(trust_file)) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("hallmark: ")
    assert said.err.count("\n") == 1


def test_an_unknown_signer_has_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, receipt_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "others.json"
    write_trust(file, coordinator=key("stranger").public, log=key("other-log").public)
    assert run(monkeypatch, "receipt", "verify", str(receipt_file), "--trust", str(file)) == 4


def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], receipt_file: Path, trust_file: Path
) -> None:
    missing = str(receipt_file) + ".missing"
    assert run(monkeypatch, "receipt", "verify", missing, "--trust", str(trust_file)) == 7
    assert missing in capsys.readouterr().err
    assert run(monkeypatch, "receipt", "verify", str(receipt_file), "--trust", missing) == 7
    assert missing in capsys.readouterr().err


def test_an_unknown_strategy_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "redteam", "run", "magic", "--coordinator", "127.0.0.1:1") == 2
    assert "magic" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nothing"], ["receipt", "verify"], ["receipt", "verify", "--nothing"]])
def test_a_command_line_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    assert run(monkeypatch, *arguments) == 2


def test_exit_codes_tell_the_kinds_of_errors_apart() -> None:
    expected = {
        errors.InvalidInput: 2,
        errors.IntegrityFailure: 3,
        errors.SignatureInvalid: 3,
        errors.UnknownSigner: 4,
        errors.Unavailable: 5,
        errors.NotInstalled: 6,
        errors.NotFound: 7,
        errors.PermissionRefused: 8,
        errors.Conflict: 9,
    }
    assert {kind: app.exit_code(kind("said")) for kind in expected} == expected
