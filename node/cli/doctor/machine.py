"""Checks of the machine: Python, packages, memory, disk, clock. Imports nothing heavy to find out what is there."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from node.cli.doctor.findings import Finding, broken, ok, warning
from node.settings import Settings

#: A verifier of the packaged model took 6 GiB at most; without these, a start fails.
LEAST_MEMORY_GIB = 4.0
LEAST_DISK_GIB, EASY_DISK_GIB = 1.0, 10.0
#: timex.status of adjtimex(2): the clock is not synchronised.
STA_UNSYNC = 0x40
#: Of `int status` in struct timex: modes and its padding, offset, freq, maxerror, esterror come before, 8 bytes each.
STATUS_INDEX = 10
DISTRIBUTION = "hallmark-node"
#: In the clone: its pyproject.toml keeps out what would break the stack.
INSTALL = "make clean .venv/ready"


def python(settings: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info < (3, 13):
        yield ok(f"Python {version}")
    else:
        yield broken(f"Python {version}; the stack needs 3.11 or 3.12.", "make clean demo PYTHON=python3.11")


def packages(settings: Settings) -> Iterator[Finding]:
    """The pins of this distribution against what is installed. Without a model stack, receipts still verify here."""
    needed = importlib.metadata.requires(DISTRIBUTION) or []
    extra = "gpu" if _installed("vllm") else "cpu"
    wanted = pins(needed, {"", "stack", extra})
    missing = sorted(name for name in wanted if _installed(name) is None)
    other = sorted(
        f"{name} {installed} instead of {version}"
        for name, version in wanted.items()
        if (installed := _installed(name)) not in (None, version)
    )
    if missing:
        yield warning(
            f"Not installed: {', '.join(missing)}. Neither coordinator nor provider runs without them.", INSTALL
        )
    if other:
        yield warning(f"Untried versions: {', '.join(other)}.", INSTALL)
    if not missing and not other:
        yield ok(f"{len(wanted)} packages as pinned, extra {extra}")


def memory(settings: Settings) -> Iterator[Finding]:
    import psutil

    free = psutil.virtual_memory().available / 2**30
    if free < LEAST_MEMORY_GIB:
        yield warning(
            f"{free:.1f} GiB of memory are free; a coordinator with its verifier takes about {LEAST_MEMORY_GIB:.0f}.",
            "ps -eo rss,comm --sort=-rss | head",
        )
    else:
        yield ok(f"{free:.1f} GiB of memory free")


def disk(settings: Settings) -> Iterator[Finding]:
    import shutil

    for folder in dict.fromkeys((settings.home, settings.cache)):
        place = nearest(folder)
        free = shutil.disk_usage(place).free / 2**30
        if free < LEAST_DISK_GIB:
            yield broken(f"{free:.1f} GiB are free on the disk of {folder}.", f"du -xh {place} | sort -h | tail")
        elif free < EASY_DISK_GIB:
            yield warning(f"{free:.1f} GiB are free on the disk of {folder}.", f"du -xh {place} | sort -h | tail")
        else:
            yield ok(f"{free:.0f} GiB free on the disk of {folder}")


def clock(settings: Settings) -> Iterator[Finding]:
    """Signed requests are refused when clocks differ by more than half a minute, and deadlines move money."""
    if sys.platform == "linux" and _kernel_clock_status() & STA_UNSYNC:
        yield warning("Nobody keeps this machine's clock right.", "timedatectl set-ntp true")
    else:
        yield ok("The clock is kept right")


def nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())


def pins(needed: list[str], extras: set[str]) -> dict[str, str]:
    """name -> version, of requirements `name==version` that hold always or for one of the extras."""
    pins = {}
    for requirement in needed:
        pin, _, marker = requirement.partition(";")
        name, _, version = pin.strip().partition("==")
        asked = re.search(r"""extra == ['"](\w+)['"]""", marker)
        if version and (asked[1] if asked else "") in extras:
            pins[re.sub(r"\[.*\]", "", name)] = version
    return pins


def _installed(name: str) -> str | None:
    """The version, without what a build adds to it (+cpu)."""
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def _kernel_clock_status() -> int:
    """timex.status, asked without changing anything."""
    timex = (ctypes.c_int * 64)()  # modes = 0 comes first; far larger than the kernel's 208 bytes
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return timex[STATUS_INDEX]
