"""Files that survive a power cut: whole, or as they were before. Knows nothing of what they hold."""

from __future__ import annotations

import os
from pathlib import Path


def write_durably(file: Path, data: bytes) -> None:
    """Replaces a file's content at once: after a crash it holds the former or the new one."""
    partial = file.with_suffix(".partial")
    with partial.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)
    sync(file.parent)


def sync(path: Path) -> None:
    """Waits until a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
