"""Settings: a file, then the environment, then the command; and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from node import settings
from node.errors import InvalidInput


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "CACHE", "DATABASE", "LISTEN", "MAX_LENGTH_TOKENS", "MAX_LORA_RANK"):
        monkeypatch.delenv(f"HALLMARK_{name}", raising=False)
    return tmp_path


def test_the_command_beats_the_environment_and_that_beats_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    default = settings.load()
    Path("hallmark.toml").write_text('listen = "127.0.0.1:1"\nmax_lora_rank = 8\n')
    assert (settings.load().listen, settings.load().max_lora_rank) == ("127.0.0.1:1", 8)
    monkeypatch.setenv("HALLMARK_LISTEN", "127.0.0.1:2")
    assert settings.load().listen == "127.0.0.1:2"
    assert settings.load(listen="127.0.0.1:3").listen == "127.0.0.1:3"
    assert settings.load(listen=None).listen == "127.0.0.1:2"
    assert settings.load().max_length_tokens == default.max_length_tokens


def test_everything_of_a_node_lies_in_its_home(tmp_path: Path) -> None:
    loaded = settings.load(home=tmp_path / "home")
    for path in (loaded.state, loaded.trust_file, loaded.key_file("log")):
        assert path.is_relative_to(tmp_path / "home")
    assert str(tmp_path / "home") in loaded.database_url
    assert settings.load(database="postgresql://x").database_url == "postgresql://x"


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError):
        settings.load().listen = "elsewhere"  # type: ignore[misc]


@pytest.mark.parametrize(("file", "field"), [("nothing = 1", "nothing"), ('max_lora_rank = "many"', "max_lora_rank")])
def test_a_setting_that_is_wrong_is_named(file: str, field: str) -> None:
    Path("hallmark.toml").write_text(file)
    with pytest.raises(InvalidInput) as refusal:
        settings.load()
    assert refusal.value.facts["field"] == field


@pytest.mark.parametrize("file", [b"listen = ", b"\xff"])
def test_a_file_that_is_no_toml_is_refused(file: bytes) -> None:
    Path("hallmark.toml").write_bytes(file)
    with pytest.raises(InvalidInput, match=r"hallmark\.toml"):
        settings.load()


def test_a_wrong_environment_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALLMARK_MAX_LORA_RANK", "many")
    with pytest.raises(InvalidInput) as refusal:
        settings.load()
    assert refusal.value.facts["field"] == "max_lora_rank"
