"""The database's history: every revision of the tables, money's included, and the way from each to the next.

A database is brought up to date when it is opened, by whoever comes first; there is no way back but a backup. The
revisions name what they change as it was then, and know nothing of the tables as they are now.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from node.errors import Unavailable


def bring_up_to_date(engine: Engine) -> None:
    """Upgrades an empty or older database in one transaction. Writers wait for it, and two upgrades for each other.

    Raises:
        Unavailable: the database was written by a newer version of this program; nothing was changed.
    """
    with engine.execution_options(read_only=True).connect() as connection:
        if is_up_to_date(connection):
            return
    config = _config()
    with engine.connect() as connection:
        # SQLite alters a table by making a new one in its place (sqlite.org/lang_altertable.html, section 7)
        if engine.dialect.name == "sqlite":
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                if not is_up_to_date(connection):
                    config.attributes["connection"] = connection
                    command.upgrade(config, "head")
        finally:
            connection.invalidate()  # so that no later transaction meets the setting above


def is_up_to_date(connection: Connection) -> bool:
    """Whether the tables are as this program knows them. Raises Unavailable if they are of a newer one."""
    script = ScriptDirectory.from_config(_config())
    revision, newest = MigrationContext.configure(connection).get_current_revision(), script.get_current_head()
    if revision not in (None, *(known.revision for known in script.walk_revisions())):
        raise Unavailable(
            f"The database is of a newer version of Hallmark: revision {revision}, and this one knows {newest}.",
            fix="Install that version, or restore the backup from before its upgrade.",
        )
    return revision == newest


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "node.storage:migrations")
    return config
