"""Calibration profiles as files: canonical documents, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.core.profile import Profile


def read(file: Path) -> Profile:
    """Raises InvalidInput if the file cannot be read, or is no profile."""
    from node.core import document
    from node.core.profile import Profile
    from node.errors import IntegrityFailure, InvalidInput

    fix = "Measure one with `hallmark calibrate --out FILE`."
    try:
        return document.from_bytes(Profile, file.read_bytes())
    except OSError as fault:
        raise InvalidInput(f"The profile {file} cannot be read: {fault.strerror}.", fix=fix, field="profile") from fault
    except IntegrityFailure as fault:
        raise InvalidInput(f"{file} is no profile: {fault.message}", fix=fix, field="profile") from fault


def require_place(file: Path) -> None:
    """Raises InvalidInput if no file can be written there: seconds, not a training, until that is said."""
    from node.errors import InvalidInput

    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise InvalidInput(
            f"The profile {file} cannot be written.", fix="Name a file in a folder of yours.", field="out"
        )


def write(file: Path, profile: Profile) -> None:
    """Replaces the file in one step: an interruption leaves the old one or the new one."""
    from node.core import document

    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_bytes(document.to_bytes(profile))
    unfinished.replace(file)
