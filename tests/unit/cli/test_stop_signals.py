"""The first signal asks a process to stop; the second ends it, even while it does not listen."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

CODE = """
import asyncio, time
from node.bootstrap import stop_signal

async def main():
    stop = stop_signal()
    print("runs", flush=True)
    await stop.wait()
    print("stops", flush=True)
    time.sleep(60)  # as a library may that is ending its children

asyncio.run(main())
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, text=True)
    yield started
    started.kill()
    started.communicate()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_and_the_second_ends(
    process: subprocess.Popen[str], first: signal.Signals, second: signal.Signals
) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "runs\n"
    process.send_signal(first)
    assert process.stdout.readline() == "stops\n"
    assert process.poll() is None
    assert pressed_until_ended(process, second) == 143


def pressed_until_ended(process: subprocess.Popen[str], number: signal.Signals) -> int | None:
    """Python misses a signal in the instant before it begins to sleep: again, then, as a person would."""
    for _ in range(50):
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(0.5)
    return None
