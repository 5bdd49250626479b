"""Calibration profiles as files: canonical documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from node.cli import output_file

if TYPE_CHECKING:
    from node.core.profile import Profile

MEASURE = "Measure one with `hallmark calibrate --out FILE` and name it with --profile FILE."


def read(file: Path) -> Profile:
    """Raises InvalidInput if the file cannot be read, or is no profile."""
    from node.core import document
    from node.core.profile import Profile
    from node.errors import IntegrityFailure, InvalidInput

    try:
        return document.from_bytes(Profile, file.read_bytes())
    except OSError as fault:
        raise InvalidInput(
            f"The profile {file} cannot be read: {fault.strerror}.", fix=MEASURE, field="profile"
        ) from fault
    except IntegrityFailure as fault:
        raise InvalidInput(f"{file} is no profile: {fault.message}", fix=MEASURE, field="profile") from fault


def write(file: Path, profile: Profile) -> None:
    """Replaces the file in one step."""
    from node.core import document

    output_file.write(file, document.to_bytes(profile))
