"""What a confined verifier may still do: tried in a process of its own, since nothing undoes it."""

from __future__ import annotations

import subprocess
import sys

CONFINED = """
import pathlib, resource
import psutil
from node.verifier.confined import MOST_FILE_BYTES, confine
confine()
confine()
status = pathlib.Path("/proc/self/status").read_text()
print("NoNewPrivs:\\t1" in status)
print(resource.getrlimit(resource.RLIMIT_CORE) == (0, 0))
print(resource.getrlimit(resource.RLIMIT_FSIZE) == (MOST_FILE_BYTES, MOST_FILE_BYTES))
print(0 < resource.getrlimit(resource.RLIMIT_DATA)[1] <= psutil.virtual_memory().total)
"""


def test_a_confined_process_gains_no_privilege_and_its_files_memory_and_dumps_are_bounded() -> None:
    done = subprocess.run([sys.executable, "-c", CONFINED], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["True"] * 4, "")
