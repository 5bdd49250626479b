"""Files that commands write: refused before the work that they shall hold, and written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def require_place(file: Path, *, field: str) -> None:
    """Raises InvalidInput if no file can be written there: seconds, not the work, until that is said."""
    from node.errors import InvalidInput

    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise InvalidInput(f"{file} cannot be written.", fix="Name a file in a folder of yours.", field=field)


def write(file: Path, content: bytes) -> None:
    """Replaces the file in one step: an interruption leaves the old one or the new one."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(file)
