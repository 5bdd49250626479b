"""Real databases for the suites that run over both: SQLite in a file, PostgreSQL in a private server of this run."""

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
from fakes.databases import sqlite_url
from fakes.debian import apt_get, apt_turn
from sqlalchemy import Engine, create_engine, make_url, text

from node.settlement import schema
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


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server of our own, on a Unix socket in a temporary folder; gone when the run ends."""
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


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new and empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
    else:
        with new_database(request.getfixturevalue("postgres_url"), template="template1") as url:
            yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def ready_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new database that is up to date."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "node.sqlite")
    else:
        template = request.getfixturevalue("postgres_template")
        with new_database(request.getfixturevalue("postgres_url"), template=template) as url:
            yield url


@pytest.fixture
def engine(ready_url: str) -> Iterator[Engine]:
    """An engine over a new database."""
    opened = open_engine(ready_url)
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[str]:
    """The name of an up-to-date database that nobody writes to: others are copied from it."""
    with new_database(postgres_url, template="template1") as url:
        open_engine(url).dispose()
        yield make_url(url).database or ""


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


@pytest.fixture(params=["sqlite", "postgresql"])
def escrow_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine whose escrow tables are new and empty."""
    if request.param == "sqlite":
        engine = open_engine(f"sqlite:///{tmp_path / 'escrow.sqlite'}")
    else:
        engine = create_engine(request.getfixturevalue("postgres_url"), pool_size=64)
    schema.metadata.drop_all(engine)
    schema.metadata.create_all(engine)
    yield engine
    engine.dispose()
