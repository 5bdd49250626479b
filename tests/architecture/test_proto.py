"""The API's files: lint-free, formatted, explained, and compatible with what was published (`make publish-proto`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PROTO = Path(__file__).parents[2] / "proto"
BUF = Path(sys.executable).with_name("buf")


def _buf(*arguments: str, cwd: Path = PROTO) -> str:
    """What buf complains of; nothing where it is content."""
    done = subprocess.run([BUF, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_api_is_lint_free_and_every_method_is_explained() -> None:
    assert _buf("lint") == ""


def test_the_api_is_formatted() -> None:
    assert _buf("format", "--diff") == ""


def test_nothing_that_clients_rely_on_was_taken_away() -> None:
    assert _buf("breaking", "--against", "published.binpb") == ""


def test_a_method_taken_away_would_be_noticed(tmp_path: Path) -> None:
    shutil.copytree(PROTO, tmp_path / "proto")
    jobs = tmp_path / "proto" / "hallmark" / "v1" / "jobs.proto"
    jobs.write_text(jobs.read_text().replace("rpc CancelJob(", "rpc WithdrawJob("))
    assert "CancelJob" in _buf("breaking", "--against", "published.binpb", cwd=tmp_path / "proto")
