"""A PostgreSQL server of the tests' own, and new databases in it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.debian import apt_get, apt_turn
from sqlalchemy import create_engine, make_url, text

from node.storage.database import open_engine


def postgres_programs() -> Path | None:
    """The folder of initdb and pg_ctl: on the path, or where Debian puts them."""
    found = shutil.which("initdb")
    if found and Path(found).resolve().with_name("pg_ctl").exists():
        return Path(found).resolve().parent
    return next((path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)


def installed_postgres() -> Path:
    """As `postgres_programs`. In CI an absent server is installed, and the run fails if that fails."""
    with apt_turn():
        programs = postgres_programs()
        if programs is None and os.environ.get("CI"):
            apt_get("update")
            apt_get("install", "-y", "postgresql")
            programs = postgres_programs()
            assert programs is not None, "the package postgresql brought no initdb"
    if programs is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    return programs


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server on a Unix socket in a temporary folder; gone with the block."""
    programs = installed_postgres()
    folder = Path(tempfile.mkdtemp(prefix="hallmark-postgres-"))
    as_user: list[str] = []
    if os.getuid() == 0:  # the server refuses to; and Python's own change of user would fork, which gRPC cannot bear
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
    data, log = folder / "data", folder / "log"

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(programs / program), "-D", str(data), *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)

    try:
        run("initdb", "--auth=trust", "--username=hallmark", "--encoding=UTF8", "--no-sync")
        run("pg_ctl", "-w", "-l", str(log), "-o", f"-k {folder} -c listen_addresses='' -c fsync=off", "start")
        try:
            yield f"postgresql+psycopg://hallmark@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_database(server_url: str, *, template: str) -> Iterator[str]:
    server = create_engine(server_url, isolation_level="AUTOCOMMIT")
    name = f"test_{secrets.token_hex(8)}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield server.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


@contextmanager
def new_template(server_url: str) -> Iterator[str]:
    """The name of an up-to-date database that nobody writes to: others are copied from it."""
    with new_database(server_url, template="template1") as url:
        open_engine(url).dispose()
        yield make_url(url).database or ""
