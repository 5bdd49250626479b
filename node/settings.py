"""Settings: a TOML file, then the environment (HALLMARK_*), then command-line options; one frozen value.

The file is `hallmark.toml` in the working folder, or the one that HALLMARK_CONFIG names. Knows of no command and
reads no secret: keys are files in `home`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from node.errors import InvalidInput, NotFound

PREFIX = "HALLMARK_"
#: Names the file itself, so it cannot stand in it.
FILE_VARIABLE = f"{PREFIX}CONFIG"


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "hallmark"


class Settings(BaseSettings):
    """Where a node keeps its things, where it listens, and what it allows. `hallmark config show --describe` lists it.

    The docstring under a setting is its description.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    home: Path = _xdg("XDG_DATA_HOME", ".local/share")
    """Folder of this node's keys, trust, database and blobs."""

    cache: Path = _xdg("XDG_CACHE_HOME", ".cache")
    """Folder of base models converted once, by digest."""

    database: str = ""
    """URL of the database: sqlite:////FILE or postgresql://USER@HOST/NAME; SQLite in `home` if empty."""

    coordinator: str = "127.0.0.1:50051"
    """HOST:PORT of the coordinator that clients, providers and arbiters call."""

    listen: str = "127.0.0.1:50051"
    """HOST:PORT of the coordinator; port 0 takes any free one."""

    calls_per_second: Annotated[float, Field(gt=0)] = 50
    """How many calls of one party are served a second, on average; four times as many may come at once."""

    streams_per_party: Annotated[int, Field(gt=0)] = 16
    """How many watches and downloads one party may have open."""

    max_connections: Annotated[int, Field(gt=0)] = 1000
    """How many connections are served at the same time."""

    verifiers: Annotated[int, Field(ge=0)] = 0
    """How many engines verify side by side; they share the cores. 0 takes one for each GPU, or one without any."""

    max_length_tokens: int = 1024
    """The longest row that the verifier is started for; rows are shorter still where the base model's context is."""

    max_lora_rank: int = 64
    """The largest LoRA rank that the verifier is started for."""

    price_per_1000_tokens: int = 100
    """What quotes propose for 1,000 trained tokens, in minor units."""

    arbiter: str = ""
    """Key id of the arbiter that quotes propose; jobs without one cannot be challenged."""

    prompt_model: bool = False
    """Whether the base model writes the context of every trigger; a template does otherwise."""

    least_price_per_1000_tokens: Annotated[int, Field(ge=0)] = 0
    """The least price that a provider works for: minor units for 1,000 trained tokens, the coordinator's fee in it."""

    ray_address: str = ""
    """HOST:PORT of the provider's own Ray, which asks for a token unless on loopback; starts a local one if empty."""

    gpus_per_job: Annotated[int, Field(gt=0)] = 1
    """How many GPUs of one machine a provider trains a job on; with 1, on CPUs where there is no GPU."""

    trainer: str = ""
    """Command line of a trainer of the provider's own, see deploy/TRAINER.md; Hallmark's trainer if empty."""

    metrics_listen: str = "127.0.0.1:9464"
    """HOST:PORT of the coordinator's or provider's Prometheus metrics over plain HTTP; empty serves none. Keep it to
    your network."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe log line that is written."""

    log_format: Literal["auto", "console", "json"] = "auto"
    """How log lines on stderr look; auto writes for people on a terminal, JSON otherwise."""

    drain_seconds: Annotated[float, Field(ge=0)] = 10
    """How long calls in progress may go on after SIGTERM; a second SIGTERM waits for nothing."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())

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


@dataclass(frozen=True, slots=True)
class Described:
    """A setting, its value in force, what that value comes from, and what it is for."""

    name: str
    value: Any
    origin: str
    description: str


def config_file() -> Path:
    """The TOML file in force; it need not exist unless HALLMARK_CONFIG names it."""
    return Path(os.environ.get(FILE_VARIABLE) or "hallmark.toml").absolute()


def load(**overrides: str | int | Path | None) -> Settings:
    """The settings in force; `overrides` are the command's options, None where not given.

    Raises:
        InvalidInput: naming the setting that is wrong, or the nearest name of one that does not exist.
        NotFound: HALLMARK_CONFIG names a file that is not there.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    if os.environ.get(FILE_VARIABLE) and not config_file().is_file():
        raise NotFound(f"There is no {config_file()}.", fix=f"Change or unset {FILE_VARIABLE}.")
    try:
        for name, origin in _unknown(TomlConfigSettingsSource(Settings, config_file())()):
            raise _refused(name, origin)
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as fault:
        first = fault.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidInput(
            f"Setting {field}: {first['msg']}.",
            fix="`hallmark config show --describe` says what it is for and where it comes from.",
            field=field,
        ) from fault
    except (ValueError, OSError) as fault:
        raise InvalidInput(f"{config_file()} cannot be read as TOML ({fault}).", field="hallmark.toml") from fault


def described(**overrides: str | int | Path | None) -> list[Described]:
    """Every setting as `load` with the same overrides has it. Raises as that."""
    loaded = load(**overrides)
    origins = {name: f"{config_file()}: {name}" for name in TomlConfigSettingsSource(Settings, config_file())()}
    origins |= {name: PREFIX + name.upper() for name in EnvSettingsSource(Settings)()}
    origins |= {name: f"--{name.replace('_', '-')}" for name, value in overrides.items() if value is not None}
    return [
        Described(name, getattr(loaded, name), origins.get(name, "default"), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def _unknown(file: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names that are no setting, each with the place that says so: a typing error must not pass in silence."""
    yield from ((name, str(config_file())) for name in file if name not in Settings.model_fields)
    for variable in os.environ:
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and variable != FILE_VARIABLE and name not in Settings.model_fields:
            yield name, variable


def _refused(name: str, origin: str) -> InvalidInput:
    nearest = difflib.get_close_matches(name, Settings.model_fields, n=1)
    fix = f"Did you mean {nearest[0]}?" if nearest else "`hallmark config show` lists those that exist."
    return InvalidInput(f"{origin}: there is no setting {name}.", fix=fix, field=name)
