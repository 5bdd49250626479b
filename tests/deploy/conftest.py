"""Tools that check what lies in deploy/: on the path, or fetched from Debian's archive in CI. No service is started."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.debian import apt_get, apt_turn


@pytest.fixture(scope="session")
def debian_tool(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """(program, package) -> its path. In CI an absent one is unpacked, not installed; the run fails if that fails."""

    def find(program: str, package: str) -> str:
        if found := shutil.which(program):
            return found
        if not os.environ.get("CI"):
            pytest.skip(f"no {program} here: apt-get install {package}")
        folder = tmp_path_factory.mktemp(package)
        with apt_turn():
            apt_get("update")
            apt_get("download", package, cwd=folder)
        (archive,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
        return str(folder / "usr" / "bin" / program)

    return find


@pytest.fixture
def promtool(debian_tool: Callable[[str, str], str]) -> Callable[..., str]:
    """Runs promtool; returns what it said, fails if it refused."""
    program = debian_tool("promtool", "prometheus")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
