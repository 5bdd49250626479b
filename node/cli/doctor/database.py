"""Checks of the database: is it there, does it answer, are its tables of this version, is the clock behind it?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli.doctor.findings import Finding, broken, ok, warning
from node.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

ANSWER_SECONDS = 2
#: So far the clock may be behind what another coordinator wrote.
SKEW_MS = 30_000


def database(settings: Settings) -> Iterator[Finding]:
    """Changes nothing: a database that is older is brought up to date when a coordinator starts.

    Finds nothing in a home that has keys, but no coordinator's: a party has no database.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import DBAPIError

    from node.storage.database import engine_at

    if (settings.home / "keys").is_dir() and not settings.key_file("coordinator").exists() and not settings.database:
        return
    engine = engine_at(settings.database_url)  # says what is wrong with the URL before it is taken apart below
    url = make_url(settings.database_url)
    if engine.dialect.name == "sqlite":
        if not Path(url.database or "").is_file():
            yield ok(f"There is no {url.database} yet: the first start makes it")
            return
    else:
        patient = {"connect_timeout": str(ANSWER_SECONDS)} | dict(url.query)
        engine = engine_at(url.set(query=patient).render_as_string(hide_password=False))
    try:
        with engine.execution_options(read_only=True).connect() as connection:
            yield from _of_content(connection)
    except DBAPIError as fault:
        reason = " ".join(str(fault.orig).split()).rstrip(".?")
        yield broken(f"{url!r} does not answer: {reason}.", _look(url))
    finally:
        engine.dispose()


def _look(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"ls -l {url.database}*"
    return f"pg_isready --host={url.host or url.query.get('host', 'localhost')} --port={url.port or 5432}"


def _of_content(connection: Connection) -> Iterator[Finding]:
    from sqlalchemy import select

    from node.settlement.schema import transactions
    from node.storage.migrations import is_up_to_date

    if not is_up_to_date(connection):
        yield warning("The tables are of an older version; the next start changes them.", "Make a backup first.")
        return
    last_ms = connection.execute(select(transactions.c.time_ms).order_by(transactions.c.seq.desc()).limit(1)).scalar()
    if last_ms is not None and last_ms > time.time_ns() // 1_000_000 + SKEW_MS:
        yield broken(
            f"The last transaction is {last_ms / 1000 - time.time():.0f} s in this machine's future.",
            "timedatectl set-ntp true",
        )
    else:
        yield ok("The database answers; its tables are of this version")
