"""The demonstration's child processes: none outlives it, whatever ends it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE_SECONDS = 10
#: Nobody collects metrics here, people read the logs, and Ctrl-C is quick.
SETTINGS = {"HALLMARK_METRICS_LISTEN": "", "HALLMARK_LOG_FORMAT": "console", "HALLMARK_DRAIN_SECONDS": "2"}


class Processes:
    """Starts `hallmark` commands as children; on leaving the block all of them and all they started have ended.

    This process becomes the reaper of orphans below it, so that a daemon which detached itself is still found.
    """

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _interrupts_held_back():
            for child in self._children:
                child.terminate()
            for child in self._children:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(GRACE_SECONDS)
                if child.stdout:
                    child.stdout.close()
            _end_descendants()

    def start(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Starts `hallmark ARGUMENTS`; stderr goes to `<name>.log`, stdout is a pipe."""
        with self.log(name).open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "node", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | SETTINGS,
                start_new_session=True,  # Ctrl-C is ours to pass on
                preexec_fn=_end_with_parent,
            )
        self._children.append(child)
        return child

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def last_line(self, name: str) -> str:
        """The last line that a child wrote to its log: most often why it ended."""
        lines = self.log(name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].removeprefix("hallmark: ") if lines else "it said nothing"


def first_line(stream: IO[bytes] | None) -> bytes:
    """Blocks until a child has said its first line; empty if it ended without one."""
    return stream.readline() if stream else b""


def _end_descendants() -> None:
    left = psutil.Process().children(recursive=True)
    while left:
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=GRACE_SECONDS)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = [process for process in psutil.Process().children(recursive=True) if _runs(process)]


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    former = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _end_with_parent() -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
