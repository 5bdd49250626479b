"""A database full of jobs within a minute: rows of real ones, written again under other names.

What no listing, watch or lease reads is left empty, or a database would have 40 KB a job: messages after the first two,
and manifests. Its Merkle log has as many leaves as there are messages, of random bytes.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from fakes.clock import FakeClock
from fakes.world import DEADLINES, JOB, build

from node.core.job import State
from node.core.rows import Row
from node.wire.channel import wall_ms
from node.workflow import prepare

OPEN_JOB = "open-1"
#: One of so many stored jobs waits for a provider, but at least `LEAST_OPEN` do; the others have settled.
OPEN_SHARE, LEAST_OPEN = 100, 50
#: A little more than what passes of a job's life until it settles.
AGO_MS = 1000 * DEADLINES.challenge_seconds + 60_000
#: Table -> the column that names the job.
TABLES = {
    "jobs": "id",
    "leases": "job",
    "messages": "job",
    "files": "job",
    "secrets": "job",
    "events": "job",
    "escrow_transactions": "job_id",
    "escrow_transfers": "job_id",
    "escrow_holds": "job_id",
    "escrow_jobs": "id",
    "escrow_accounts": "account",
}
NUMBERED_BY_THE_DATABASE = {"number", "seq"}


def fill(folder: Path, count: int) -> None:
    """A new world in `folder` with `count` jobs of its client."""
    folder.mkdir(parents=True)
    world, waiting = build(folder), max(LEAST_OPEN, count // OPEN_SHARE)
    world.clock = FakeClock(wall_ms() - AGO_MS)
    world.node = replace(world.node, clock=world.clock)
    world.advance_to(State.SETTLED)
    rows = [Row.of(f"What is asked in {n}?", f"The answer is {n}. {'It is. ' * (n % 4)}") for n in range(40)]
    world.create(world.offer(rows, job_id=OPEN_JOB))
    prepare.prepare(world.node, OPEN_JOB)
    world.database.dispose()
    connection = sqlite3.connect(folder / "node.sqlite", isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("BEGIN")
    for table, column in TABLES.items():
        _copy(connection, table, column, JOB, count - waiting)
        _copy(connection, table, column, OPEN_JOB, waiting)
    _grow_log(connection)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _copy(connection: sqlite3.Connection, table: str, column: str, job: str, count: int) -> None:
    """Every row of the job in a table, once more for each of `count` jobs."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    kept = [name for name in columns if name not in NUMBERED_BY_THE_DATABASE]
    values = {name: f"replace({name}, :job, :job || '-' || n)" for name in kept}
    values |= {
        "time_ms": "time_ms",
        "envelope": "CASE WHEN sequence < 2 THEN envelope ELSE x'' END",
        "manifest": "manifest" if table == "escrow_jobs" else "x''",
        "log_index": "(SELECT max(log_index) FROM messages) + row_number() OVER ()",
    }
    values |= {name: name for name in kept if name.endswith(("_ms", "_minor", "_posted", "_pending", "deadlines"))}
    again = ", ".join(values[name] for name in kept)
    copy = (
        f"WITH RECURSIVE rows AS (SELECT * FROM {table} WHERE {column} IN (:job, 'escrow:' || :job)),"  # noqa: S608
        " number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :count)"
        f" INSERT INTO {table} ({', '.join(kept)}) SELECT {again} FROM number CROSS JOIN rows"
    )
    connection.execute(copy, {"job": job, "count": count})


def _grow_log(connection: sqlite3.Connection) -> None:
    """A leaf for each message, and every complete subtree over them."""
    (leaves,) = connection.execute("SELECT max(log_index) + 1 FROM messages").fetchone()
    for level in range(leaves.bit_length()):
        connection.execute(
            "WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < :nodes)"
            ' INSERT OR IGNORE INTO log_nodes (level, "index", hash) SELECT :level, n, randomblob(32) FROM number',
            {"level": level, "nodes": leaves >> level},
        )
