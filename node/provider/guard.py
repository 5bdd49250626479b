"""Runs an operator's trainer and ends it with us: `python -m node.provider.guard COMMAND...`.

Standard input tells it that whoever started it is gone, however that came about: the pipe ends. The trainer and all
that it started then get SIGTERM, and SIGKILL some seconds later.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 5.0


def main() -> None:
    try:
        trainer = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as fault:
        sys.exit(f"{sys.argv[1]} cannot be started: {fault.strerror}.")
    threading.Thread(target=_end_with_input, args=(trainer.pid,), daemon=True).start()
    code = trainer.wait()
    _signal(trainer.pid, signal.SIGKILL)  # what it left running
    sys.exit(code if code >= 0 else 128 - code)


def _end_with_input(group: int) -> None:
    os.read(0, 1)  # nobody writes; unlike sys.stdin, it may be left waiting when this process ends
    _signal(group, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    _signal(group, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    main()
