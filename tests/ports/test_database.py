"""The engine's own promises: durable SQLite, and writers that wait for each other."""

from __future__ import annotations

import pytest

from node.errors import Unavailable
from node.storage.database import open_engine


def test_sqlite_writes_every_commit_to_the_disk(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'node.sqlite'}")
    with engine.begin() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2}


def test_whoever_waits_too_long_for_another_writer_is_told_so_and_may_come_again(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'node.sqlite'}")
    with engine.begin(), engine.connect() as late:
        late.connection.cursor().execute("PRAGMA busy_timeout=1")
        with pytest.raises(Unavailable, match="busy"):
            late.begin()
    with late.engine.begin() as connection:
        assert connection.in_transaction()
