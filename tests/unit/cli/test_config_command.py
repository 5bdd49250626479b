"""`hallmark config`: what is in force, where from, and no password on the screen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node.cli.app import app
from node.cli.config import masked
from node.settings import Settings

runner = CliRunner()


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_setting_is_listed_with_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALLMARK_MAX_LORA_RANK", "9")
    listed = json.loads(runner.invoke(app, ["config", "show", "--json"]).stdout)
    assert [each["name"] for each in listed] == list(Settings.model_fields)
    (rank,) = (each for each in listed if each["name"] == "max_lora_rank")
    assert (rank["value"], rank["origin"]) == (9, "HALLMARK_MAX_LORA_RANK")


def test_the_table_describes_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "LoRA rank" not in runner.invoke(app, ["config", "show"]).stdout
    assert "LoRA rank" in runner.invoke(app, ["config", "show", "--describe"]).stdout


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://hallmark:s3cret@db/hallmark", "postgresql://hallmark:***@db/hallmark"),
        ("postgresql://hallmark:s@cr:t@db/hallmark", "postgresql://hallmark:***@db/hallmark"),
        ("postgresql://db/hallmark?user=a&password=s3cret&x=1", "postgresql://db/hallmark?user=a&password=***&x=1"),
        ("postgresql://hallmark@db/hallmark", "postgresql://hallmark@db/hallmark"),
        ("sqlite:////var/lib/hallmark.sqlite", "sqlite:////var/lib/hallmark.sqlite"),
    ],
)
@pytest.mark.parametrize("arguments", [["--json"], []], ids=["json", "table"])
def test_a_password_in_a_url_is_masked(
    url: str, shown: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert masked(url) == shown
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("HALLMARK_DATABASE", url)
    printed = runner.invoke(app, ["config", "show", *arguments]).stdout
    assert shown in printed
    assert "s3cret" not in printed


def test_the_file_in_force_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runner.invoke(app, ["config", "path"]).stdout.strip() == str(tmp_path / "hallmark.toml")
    monkeypatch.setenv("HALLMARK_CONFIG", "elsewhere.toml")
    assert runner.invoke(app, ["config", "path"]).stdout.strip() == str(tmp_path / "elsewhere.toml")
