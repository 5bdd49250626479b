"""What lies in deploy/ is what its tools take: containers, unit, example of settings."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from node import settings
from node.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "systemd" / "hallmark-coordinator.service"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
#: systemd's exposure level, 0 to 100: what a service could do to the machine if somebody took it over.
MOST_EXPOSURE = 20


def checked(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def beside_python(program: str) -> Path:
    return Path(sys.executable).with_name(program)


def test_the_compose_file_fits_its_schema() -> None:
    checked(beside_python("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_the_dockerfile_has_no_lint() -> None:
    checked(beside_python("hadolint"), "--failure-threshold", "info", DEPLOY / "Dockerfile")


def test_the_container_runs_as_nobody_special_and_is_told_to_stop_by_sigterm() -> None:
    last_stage = (DEPLOY / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert "\nUSER 10001\n" in last_stage
    assert "\nSTOPSIGNAL SIGTERM\n" in last_stage


def test_every_image_names_its_version_and_no_registry() -> None:
    dockerfile = re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    composed = [service["image"] for service in COMPOSE["services"].values() if "build" not in service]
    for image in dockerfile + composed:
        name, _, version = image.partition(":")
        assert version not in ("", "latest")
        assert "." not in name.partition("/")[0]


def test_what_compose_mounts_is_there() -> None:
    mounted = [volume for service in COMPOSE["services"].values() for volume in service.get("volumes", [])]
    files = [volume.partition(":")[0] for volume in mounted if volume.startswith("./")]
    assert len(files) >= 6
    assert [file for file in files if not (DEPLOY / file).is_file()] == []


def test_neither_database_nor_metrics_are_published() -> None:
    published = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert published == {"coordinator": ["50051:50051"], "grafana": ["127.0.0.1:3000:3000"]}


def test_the_image_takes_what_the_build_needs() -> None:
    allowed = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert {source for line in copied for source in line.split()} == allowed


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists on any machine."""
    file = tmp_path / UNIT.name
    file.write_text(UNIT.read_text().replace("/opt/hallmark/bin/hallmark", "/bin/true"))
    return file


def test_systemd_takes_the_unit(unit: Path) -> None:
    checked(systemd_analyze(), "verify", "--man=no", unit)


def test_the_unit_could_do_little_harm(unit: Path) -> None:
    checked(systemd_analyze(), "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", unit)


def systemd_analyze() -> str:
    return shutil.which("systemd-analyze") or pytest.skip("no systemd on this machine")


def test_a_stop_leaves_calls_the_time_to_end() -> None:
    stop_seconds = int(re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)[1])  # type: ignore[index]
    container_seconds = int(COMPOSE["services"]["coordinator"]["stop_grace_period"].removesuffix("s"))
    assert min(stop_seconds, container_seconds) > 2 * Settings().drain_seconds


def test_the_example_of_settings_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(DEPLOY / "hallmark.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    loaded = settings.load()
    assert loaded.home == Path("/var/lib/hallmark")


def test_the_example_names_every_setting_with_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DEPLOY / "hallmark.toml").read_text()
    everything = re.sub(r"^#(?=\w+ = )", "", text, flags=re.MULTILINE)
    assert list(tomllib.loads(everything)) == list(Settings.model_fields)
    (tmp_path / "hallmark.toml").write_text(everything)
    monkeypatch.chdir(tmp_path)
    elsewhere = {"home", "cache"}
    assert settings.load().model_dump(exclude=elsewhere) == Settings.model_construct().model_dump(exclude=elsewhere)
