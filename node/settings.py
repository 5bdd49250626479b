"""Settings: a TOML file, then the environment (HALLMARK_*), then command-line options; one frozen value."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from node.errors import InvalidInput


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "hallmark"


class Settings(BaseSettings):
    """Where a node keeps its things and where it listens.

    Attributes:
        home: keys, trust, database and blobs of this node.
        cache: base models converted once, by digest.
        database: SQLAlchemy URL; SQLite in `home` if empty.
        max_length_tokens, max_lora_rank: the largest training specification that the verifier is started for; rows
            are shorter still where the base model's context is.
        prompt_model: the base model writes the context of every trigger; a template does otherwise.
        listen: HOST:PORT of the coordinator; port 0 takes any free one. The channel is not encrypted: loopback only.
    """

    model_config = SettingsConfigDict(env_prefix="HALLMARK_", toml_file="hallmark.toml", frozen=True, extra="forbid")

    home: Path = _xdg("XDG_DATA_HOME", ".local/share")
    cache: Path = _xdg("XDG_CACHE_HOME", ".cache")
    database: str = ""
    listen: str = "127.0.0.1:50051"
    max_length_tokens: int = 1024
    max_lora_rank: int = 64
    prompt_model: bool = False

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.state / 'hallmark.sqlite'}"

    @property
    def trust_file(self) -> Path:
        return self.home / "trust.json"

    def key_file(self, name: str) -> Path:
        return self.home / "keys" / f"{name}.pem"


def load(**overrides: str | Path | None) -> Settings:
    """The settings in force; `overrides` are the command's options, None where not given.

    Raises:
        InvalidInput: naming the setting that is wrong.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as fault:
        first = fault.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidInput(
            f"Setting {field}: {first['msg']}.", fix="See hallmark.toml and HALLMARK_*.", field=field
        ) from fault
    except ValueError as fault:
        raise InvalidInput(f"hallmark.toml is not TOML ({fault}).", field="hallmark.toml") from fault
