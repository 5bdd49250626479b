"""What lies in deploy/ is what its tools take: containers, units, example of settings."""

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
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSES: dict[str, dict[str, Any]] = {
    file.name: yaml.safe_load(file.read_text()) for file in sorted(DEPLOY.glob("*compose.yaml"))
}
COMPOSE, PROVIDER_COMPOSE = COMPOSES["compose.yaml"], COMPOSES["provider.compose.yaml"]
#: Name of each stage of the Dockerfile -> what it is made of.
STAGES = dict(
    re.findall(r"^FROM \S+ AS (\w+)\n((?:(?!FROM ).*\n)*)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
)
#: systemd's exposure level, 0 to 100: what a service could do to the machine if somebody took it over.
MOST_EXPOSURE = 20


def checked(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def beside_python(program: str) -> Path:
    return Path(sys.executable).with_name(program)


def test_the_compose_files_fit_their_schema() -> None:
    files = [DEPLOY / name for name in COMPOSES]
    checked(beside_python("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *files)


def test_the_dockerfile_has_no_lint() -> None:
    checked(beside_python("hadolint"), "--failure-threshold", "info", DEPLOY / "Dockerfile")


def test_containers_run_as_nobody_special_and_are_told_to_stop_by_sigterm() -> None:
    assert {"USER 10001", "STOPSIGNAL SIGTERM"} <= set(STAGES["node"].splitlines())
    assert not any(word in STAGES[last] for last in ("provider", "coordinator") for word in ("USER", "STOPSIGNAL"))


def test_only_a_coordinator_listens() -> None:
    assert "EXPOSE" in STAGES["coordinator"]
    assert not any(word in STAGES[stage] for stage in ("node", "provider") for word in ("EXPOSE", "LISTEN"))
    assert "ports" not in PROVIDER_COMPOSE["services"]["provider"]


def test_compose_builds_stages_that_exist_and_a_coordinator_is_the_default() -> None:
    built = {
        compose: service["build"]
        for compose in COMPOSES
        for service in COMPOSES[compose]["services"].values()
        if "build" in service
    }
    assert {build.get("target", "provider") for build in built.values()} == {"coordinator", "provider"}
    assert list(STAGES) == ["build", "node", "provider", "coordinator"]


def test_every_image_names_its_version_and_no_registry() -> None:
    dockerfile = re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    composed = [service["image"] for service in COMPOSE["services"].values() if "build" not in service]
    dockerfile = [image for image in dockerfile if image not in STAGES]
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


@pytest.fixture(params=UNITS, ids=lambda file: file.stem)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Each unit with a program that exists on any machine."""
    file = tmp_path / request.param.name
    file.write_text(request.param.read_text().replace("/opt/hallmark/bin/hallmark", "/bin/true"))
    return file


@pytest.fixture
def unit_with_gpu(unit: Path) -> Path:
    beside = unit.with_name(f"{unit.name}.d")
    beside.mkdir()
    shutil.copy(DEPLOY / "systemd" / "gpu.conf", beside)
    return unit


def test_systemd_takes_each_unit(unit: Path) -> None:
    checked(systemd_analyze(), "verify", "--man=no", unit)


def test_the_units_could_do_little_harm(unit: Path) -> None:
    checked(systemd_analyze(), "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", unit)


def test_a_gpu_costs_little_of_that(unit_with_gpu: Path) -> None:
    checked(systemd_analyze(), "verify", "--man=no", unit_with_gpu)
    checked(systemd_analyze(), "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", unit_with_gpu)


def test_all_units_are_bound_alike() -> None:
    bounds = {file.read_text().partition("# What it cannot do")[2] for file in UNITS}
    assert len(UNITS) == 3
    assert len(bounds) == 1
    assert "NoNewPrivileges=yes" in bounds.pop()


def systemd_analyze() -> str:
    return shutil.which("systemd-analyze") or pytest.skip("no systemd on this machine")


def test_a_stop_leaves_calls_the_time_to_end() -> None:
    units = [
        int(seconds) for file in UNITS for seconds in re.findall(r"^TimeoutStopSec=(\d+)$", file.read_text(), re.M)
    ]
    services = [COMPOSE["services"]["coordinator"], PROVIDER_COMPOSE["services"]["provider"]]
    containers = [int(service["stop_grace_period"].removesuffix("s")) for service in services]
    assert len(units) == len(UNITS)
    assert min(*units, *containers) > 2 * Settings().drain_seconds


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
