"""`hallmark init` and `hallmark admit` from outside: what an operator and a party type, in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.cli import app
from node.crypto.certificates import Role
from node.errors import NotFound
from node.storage import tls


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """The exit code of `hallmark ARGUMENTS`."""
    monkeypatch.setattr("sys.argv", ["hallmark", *map(str, arguments)])
    try:
        app.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def test_a_party_gets_in_by_what_each_side_is_told_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    operator, provider = tmp_path / "operator", tmp_path / "provider"
    assert run(monkeypatch, "init", "--home", operator, "--name", "node.example") == 0
    said = capsys.readouterr().out
    assert f"Made {tls.server_file(operator)}" in said
    assert "hallmark coordinator run" in said

    assert run(monkeypatch, "init", "--home", provider, "--role", "provider") == 0
    request = provider / "provider.request.json"
    assert f"hallmark admit {request.name}" in capsys.readouterr().out

    assert run(monkeypatch, "admit", "--home", operator, request) == 0
    answer = provider / "provider.admission.json"
    assert f"hallmark init --install {answer.name}" in capsys.readouterr().out

    assert run(monkeypatch, "init", "--home", provider, "--install", answer) == 0
    identity = tls.identity(provider, Role.PROVIDER)
    assert identity.coordinator in capsys.readouterr().out
    assert identity.coordinator == tls.identity(operator, Role.OPERATOR).coordinator
    with pytest.raises(NotFound, match="It has one as provider"):
        tls.identity(provider, Role.CLIENT)

    assert run(monkeypatch, "admit", "--home", operator, "--revoke", identity.key.public.key_id) == 0
    assert tls.revoked(operator) == {identity.key.public.key_id}
    assert run(monkeypatch, "admit", "--home", operator, request) == 9


def test_repeating_init_changes_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "init", "--home", tmp_path)
    capsys.readouterr()
    assert run(monkeypatch, "init", "--home", tmp_path) == 0
    said = capsys.readouterr().out
    assert "Everything is there already" in said
    assert "Made" not in said


def test_an_operator_changes_keys_and_authority_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "init", "--home", tmp_path)
    before = tls.server_credential(tmp_path)
    assert run(monkeypatch, "init", "--home", tmp_path, "--retire-ca") == 9
    assert run(monkeypatch, "init", "--home", tmp_path, "--rotate") == 0
    assert tls.server_credential(tmp_path) != before
    capsys.readouterr()
    assert run(monkeypatch, "init", "--home", tmp_path, "--rotate-ca") == 0
    assert "hallmark init --retire-ca" in capsys.readouterr().out
    assert run(monkeypatch, "init", "--home", tmp_path, "--retire-ca") == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["init", "--role", "provider", "--rotate"], 2),
        (["init", "--role", "operator"], 2),
        (["init", "--install", "missing.json"], 7),
        (["init", "--rotate-ca"], 7),
        (["admit"], 2),
        (["admit", "missing.json"], 7),
        (["admit", "request.json", "--revoke", "ed25519:0"], 2),
        (["admit", "--revoke", "somebody"], 2),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_one_line_with_the_next_step(
    arguments: list[str],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments, "--home", tmp_path / "home") == code
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert shown.out == ""
    assert not (tmp_path / "home").exists()
