"""New SQLite databases, by copy: every revision takes a quarter of a second, and hundreds of tests want a database."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from node.storage.database import open_engine


def sqlite_url(file: Path) -> str:
    """The URL of the database in `file`, which is made if there is none."""
    if not file.exists():
        file.write_bytes(_up_to_date())
    return f"sqlite:///{file}"


@cache
def _up_to_date() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.sqlite"
        open_engine(f"sqlite:///{file}").dispose()
        return file.read_bytes()
