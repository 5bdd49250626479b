"""`hallmark plan` from outside: a table for people, JSON for programs, one line for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes.profiles import invented

from node.cli import app, plan
from node.core import document
from node.core.plan import Targets, best_plan
from node.core.policy import Policy

WANTED = ("--rows", "10000", "--epochs", "4", "--false-reject", "0.01", "--catch-subset", "0.3", "--eps", "1e-6")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["hallmark", "plan", *arguments])
    try:
        app.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


@pytest.fixture
def profile(tmp_path: Path) -> str:
    file = tmp_path / "profile.json"
    file.write_bytes(document.to_bytes(invented(times=16)))
    return str(file)


def test_the_table_ends_in_a_policy_that_can_be_pasted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], profile: str
) -> None:
    assert run(monkeypatch, *WANTED, "--profile", profile) == 0
    out = capsys.readouterr().out
    policy = document.from_json(Policy, json.loads(out.splitlines()[-1]))
    expected = best_plan(Targets(10_000, 4, 0.01, 0.3, 1e-6), invented(times=16))
    assert expected is not None
    assert policy == expected.policy
    assert f"{policy.groups} groups of {policy.marks_per_group}, {policy.marks / 100:.2f}% of the data" in out
    assert [line.split()[0] for line in out.splitlines() if line.strip().startswith(("10%", "50%", "90%"))] == [
        "10%",
        "50%",
        "90%",
    ]


def test_programs_get_the_same_numbers_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], profile: str
) -> None:
    assert run(monkeypatch, *WANTED, "--profile", profile, "--rows-tokens", "900000", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    policy = document.from_json(Policy, told["policy"])
    assert told["marks_share"] == policy.marks / 10_000
    assert told["groups"]["trials"] == policy.groups
    assert told["pairs"]["cheats"][0]["log10_p_passes"] <= -6
    assert (told["pairs"]["trials"], told["pairs"]["needed"]) == (policy.pairs, policy.pairs_needed)
    assert [cheat["share"] for cheat in told["groups"]["cheats"][1:]] == [
        percent / 100 for percent in range(10, 100, 10)
    ]
    assert told["tokens"]["training"] == 4 * 900_000
    assert told["tokens"]["training_extra"] == 4 * policy.marks * 17
    assert told["tokens"]["verification"] == 2 * (told["verification_prompts"] * (90 + 16) + 2 * policy.pairs * 90)


def test_targets_that_no_policy_meets_are_one_line_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], profile: str
) -> None:
    assert run(monkeypatch, "--rows", "300", "--epochs", "3", "--catch-subset", "0.9", "--profile", profile) == 2
    told = capsys.readouterr().err
    assert told.startswith("hallmark: No policy meets these targets.")
    assert "What would do: " in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("--rows", "0"), ("--epochs", "0"), ("--false-reject", "1.5"), ("--catch-subset", "0"), ("--eps", "-1")],
)
def test_targets_out_of_range_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], profile: str, option: str, value: str
) -> None:
    assert run(monkeypatch, *WANTED, "--profile", profile, option, value) == 2
    assert "must lie between" in capsys.readouterr().err


def test_fewer_tokens_than_rows_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], profile: str
) -> None:
    assert run(monkeypatch, *WANTED, "--profile", profile, "--rows-tokens", "12") == 2
    assert "12 tokens" in capsys.readouterr().err


def test_an_installation_without_a_profile_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(plan, "SHIPPED", tmp_path / "none.json")
    assert run(monkeypatch, *WANTED) == 6
    told = capsys.readouterr().err
    assert told.endswith("Measure one with `hallmark calibrate --out FILE` and name it with --profile FILE.\n")


def test_the_packaged_profile_is_what_plan_reckons_with_by_default_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, profile: str
) -> None:
    monkeypatch.setattr(plan, "SHIPPED", Path(profile))
    assert run(monkeypatch, *WANTED) == 0
    assert "(the profile that comes with Hallmark)" in " ".join(capsys.readouterr().out.split())
    assert run(monkeypatch, *WANTED, "--profile", profile) == 0
    assert "comes with Hallmark" not in capsys.readouterr().out
    assert run(monkeypatch, *WANTED, "--json") == 0
    assert json.loads(capsys.readouterr().out)["profile"] == profile


def test_no_profile_is_packaged_but_the_one_that_plan_finds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With it `plan` answers, be it that the targets cannot be met; without it, it says so."""
    packaged = list(plan.SHIPPED.parent.glob("*"))
    assert packaged in ([], [plan.SHIPPED])
    assert run(monkeypatch, *WANTED) in ((0, 2) if packaged else (6,))
    told = capsys.readouterr()
    assert packaged or "This installation comes without a profile of the packaged model." in told.err
    assert not packaged or "smollm2-135m-instruct" in told.out + told.err


def test_a_profile_that_is_not_there_is_named_with_how_to_make_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, *WANTED, "--profile", str(tmp_path / "none.json")) == 2
    told = capsys.readouterr().err
    assert "none.json cannot be read" in told
    assert "hallmark calibrate --out FILE" in told


@pytest.mark.parametrize("content", [b"", b"{}", b'{"rows": 1}', b"\xff", b"[]"])
def test_a_file_that_is_no_profile_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "other.json"
    file.write_bytes(content)
    assert run(monkeypatch, *WANTED, "--profile", str(file)) == 2
    assert "is no profile" in capsys.readouterr().err
