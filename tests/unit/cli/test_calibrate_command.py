"""`hallmark calibrate` from outside: what cannot be is said before a model is loaded; no file is half written."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.profiles import invented

from node.cli import app, profile_file


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["hallmark", "calibrate", *arguments])
    try:
        app.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--seeds", "0"], "At least one seed"),
        (["--groups-per-dose", "0"], "At least one seed"),
        (["--epochs", "2,x"], "epochs is '2,x'"),
        (["--epochs", ""], "epochs is ''"),
        (["--doses", "0,3"], "doses is '0,3'"),
        (["--doses", "1"], "marks_per_group is 1"),
        (["--noise-percent", "80"], "noise_percent is 80"),
        (["--data", "none.jsonl"], "none.jsonl cannot be read"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    told: str,
) -> None:
    assert run(monkeypatch, "--out", str(tmp_path / "profile.json"), *arguments) == 2
    assert told in capsys.readouterr().err


def test_a_place_where_nothing_can_be_written_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "--out", str(tmp_path / "none" / "profile.json")) == 2
    assert run(monkeypatch, "--out", str(tmp_path)) == 2
    assert capsys.readouterr().err.count("cannot be written") == 2


def test_a_file_that_is_no_profile_is_not_overwritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear Sir")
    assert run(monkeypatch, "--out", str(file)) == 2
    assert "is no profile" in capsys.readouterr().err
    assert file.read_text() == "Dear Sir"


def test_a_profile_is_replaced_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    for times in (1, 2):
        profile_file.write(file, invented(times))
        assert profile_file.read(file) == invented(times)
    assert list(tmp_path.iterdir()) == [file]
