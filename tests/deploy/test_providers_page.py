"""The page for node operators speaks of commands, settings, files and refusals that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from typer.main import get_command

from node.cli.app import app
from node.core.events import Progress
from node.provider.journal import Journal
from node.provider.metrics import JournalCollector
from node.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = (DEPLOY / "PROVIDERS.md").read_text(encoding="utf-8")
SPOKEN = sorted(set(re.findall(r"(?:^|`)hallmark ([a-z]+(?: [a-z]+)*)", PAGE, re.MULTILINE)))
REFUSALS = re.findall(r"^\| (`.*) \| .* \|$", PAGE.partition("| it says |")[2].partition("| the log says")[0], re.M)


def is_a_command(words: list[str]) -> bool:
    command = get_command(app)
    for word in words:
        if not isinstance(command, typer.core.TyperGroup):
            return True  # the rest are arguments
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True


@pytest.mark.parametrize("spoken", SPOKEN)
def test_every_command_exists(spoken: str) -> None:
    assert is_a_command(spoken.split())


def test_many_commands_are_shown() -> None:
    assert {"init", "provider status", "account show", "doctor"} <= set(SPOKEN)
    assert not is_a_command(["provider", "profit"])


def test_every_setting_exists() -> None:
    named = set(re.findall(r"`(?!hallmark_)([a-z0-9]+(?:_[a-z0-9]+)+)(?: = [^`]+)?`", PAGE))
    assert {"least_price_per_1000_tokens", "ray_address"} <= named <= set(Settings.model_fields)


def test_every_file_exists() -> None:
    named = set(re.findall(r"\bdeploy/[\w./-]+\w", PAGE))
    assert len(named) >= 7
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("refusal", REFUSALS)
def test_every_refusal_is_one_that_the_agent_gives(refusal: str) -> None:
    said = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "node" / "provider").glob("*.py")))
    phrases = re.findall("`([^`]+)`", refusal)
    assert phrases
    assert [phrase for phrase in phrases if phrase not in said] == []


def test_the_page_lists_every_metric_with_its_help(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "agent.json")
    journal.note(progress=Progress(1, 2, 0.5, 1.0, 100.0))
    listed = re.findall(r"^\| `(hallmark_\w+)` \| .* \| (.+) \|$", PAGE, re.MULTILINE)
    told = [
        (family.name + ("_total" if family.type == "counter" else ""), family.documentation)
        for family in JournalCollector(journal).collect()
    ]
    assert listed == told


def test_the_overlay_that_the_page_proposes_builds(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY / "kuberay", tmp_path / "kuberay")
    (overlay,) = re.findall(r"```yaml overlay\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kustomization.yaml").write_text(overlay)
    kubectl = Path(sys.executable).with_name("kubectl")
    done = subprocess.run([kubectl, "kustomize", tmp_path / "mine"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    documents = list(yaml.safe_load_all(done.stdout))
    assert set(re.findall(r"image: (\S+)", done.stdout)) == {"registry.example.org/hallmark-provider:1"}
    assert any(document.get("data") == {"HALLMARK_COORDINATOR": "node.example.org:50051"} for document in documents)
