"""Settings: a file, then the environment, then the command; and what is wrong is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from node import settings
from node.errors import InvalidInput, NotFound


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("HALLMARK_")]:
        monkeypatch.delenv(name)
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


@pytest.mark.parametrize(
    ("name", "told"), [("HALLMARK_LISTN", "Did you mean listen?"), ("HALLMARK_XYZ", "`hallmark config show` lists")]
)
def test_a_mistyped_environment_variable_is_refused_with_the_nearest_name(
    name: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(InvalidInput) as refusal:
        settings.load()
    assert name in str(refusal.value)
    assert told in str(refusal.value)


def test_a_mistyped_name_in_the_file_is_refused_with_the_nearest_name() -> None:
    Path("hallmark.toml").write_text('databse = "x"')
    with pytest.raises(InvalidInput, match=r"hallmark\.toml: there is no setting databse\. Did you mean database\?"):
        settings.load()


def test_the_environment_may_name_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("hallmark.toml").write_text("max_lora_rank = 8")
    other = tmp_path / "other.toml"
    monkeypatch.setenv("HALLMARK_CONFIG", str(other))
    with pytest.raises(NotFound, match=r"other\.toml"):
        settings.load()
    other.write_text("max_lora_rank = 16")
    assert settings.load().max_lora_rank == 16


def test_every_setting_is_described_and_tells_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("hallmark.toml").write_text("max_lora_rank = 8\nmax_length_tokens = 8\n")
    monkeypatch.setenv("HALLMARK_MAX_LENGTH_TOKENS", "9")
    found = {each.name: each for each in settings.described(home=tmp_path)}
    assert all(each.description for each in found.values())
    assert found["max_lora_rank"].origin == f"{tmp_path / 'hallmark.toml'}: max_lora_rank"
    assert (found["max_length_tokens"].value, found["max_length_tokens"].origin) == (9, "HALLMARK_MAX_LENGTH_TOKENS")
    assert (found["home"].origin, found["listen"].origin) == ("--home", "default")
