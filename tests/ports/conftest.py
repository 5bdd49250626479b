"""Real databases for the suites that run over both: SQLite in a file, PostgreSQL in a private server of this run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import postgres
from fakes.databases import sqlite_url
from fakes.postgres import new_database, new_template
from sqlalchemy import Engine

from node.settlement import schema
from node.storage.database import engine_at, open_engine


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server of this run."""
    with postgres.server() as url:
        yield url


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
    with new_template(postgres_url) as name:
        yield name


@pytest.fixture(params=["sqlite", "postgresql"])
def escrow_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine whose escrow tables are new and empty."""
    if request.param == "sqlite":
        engine = open_engine(f"sqlite:///{tmp_path / 'escrow.sqlite'}")
    else:
        engine = engine_at(request.getfixturevalue("postgres_url"))
    schema.metadata.drop_all(engine)
    schema.metadata.create_all(engine)
    yield engine
    engine.dispose()
