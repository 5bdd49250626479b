"""Debian packages for tests in CI. Test processes that run side by side take turns, for apt refuses a second one."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = Path(tempfile.gettempdir(), "hallmark-tests-apt.lock")


@contextmanager
def apt_turn() -> Iterator[None]:
    """Waits until no other test process uses apt."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def apt_get(*arguments: str, cwd: Path | None = None) -> None:
    """Fails if apt does. For use within `apt_turn`."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-q", *arguments], check=True, env=environment, cwd=cwd)
