"""The commands of deploy/OPERATIONS.md, as they stand there: what was backed up comes back, money and keys included."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from node import bootstrap
from node.crypto.digest import Digest
from node.errors import NotFound
from node.ports.escrow import EscrowCall
from node.settings import Settings
from node.storage import keys, tls
from node.storage.blobs import FolderBlobs

HANDBOOK = (Path(__file__).parents[2] / "deploy" / "OPERATIONS.md").read_text(encoding="utf-8")
SCRIPTS = dict(re.findall(r"^```sh (\S+)\n(.*?)^```$", HANDBOOK, re.MULTILINE | re.DOTALL))
NOW_MS = 1_700_000_000_000


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a coordinator must not lose."""

    money: dict[str, int]
    log: Digest
    blob: bytes
    key: str
    server: bytes


def put(settings: Settings, party: str) -> Digest:
    """Money, a leaf of the log and a blob, acknowledged."""
    engine = bootstrap.database(settings)
    with bootstrap.units(engine)() as unit:
        unit.escrow.deposit(EscrowCall(party, "once", NOW_MS), "CREDIT", 100)
        unit.log.append(party.encode())
        unit.commit()
    engine.dispose()
    return FolderBlobs(settings.state / "blobs").put(party.encode())


def held(settings: Settings, blob: Digest) -> Holdings:
    engine = bootstrap.database(settings)
    with bootstrap.units(engine)(read_only=True) as unit:
        money = {account.account: account.balance_minor for account in unit.escrow.accounts()}
        log = unit.log.root(unit.log.size())
    engine.dispose()
    return Holdings(
        money=money,
        log=log,
        blob=FolderBlobs(settings.state / "blobs").get(blob),
        key=keys.load_or_create(settings.key_file("coordinator")).public.key_id,
        server=tls.server_credential(settings.home).certificate,
    )


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Callable[[str, Settings], None]:
    """Runs a script of the handbook as an operator would."""

    def script(name: str, settings: Settings) -> None:
        url = make_url(database_url).set(drivername=make_url(database_url).get_backend_name())
        variables = {
            "PATH": os.environ["PATH"],
            "HALLMARK_HOME": str(settings.home),
            "BACKUP": str(tmp_path / "backup"),
            "DATABASE": url.render_as_string(hide_password=False),
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", SCRIPTS[name]],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return script


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    home, sqlite = tmp_path / "home", database_url.startswith("sqlite")
    return Settings(home=home, database="" if sqlite else database_url)


def kind(settings: Settings) -> str:
    return make_url(settings.database_url).get_backend_name()


def lose(settings: Settings) -> None:
    """The disk is gone."""
    shutil.rmtree(settings.home)
    if settings.database:
        engine = bootstrap.database(settings)
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        engine.dispose()


def test_what_was_backed_up_comes_back(settings: Settings, run: Callable[[str, Settings], None]) -> None:
    tls.make_operator(settings.home, ["node.example"], now_ms=NOW_MS)
    early = put(settings, "early")
    before = held(settings, early)
    running = bootstrap.database(settings)  # a coordinator that goes on meanwhile
    with bootstrap.units(running)() as unit:
        unit.escrow.deposit(EscrowCall("meanwhile", "once", NOW_MS), "CREDIT", 100)
        run(f"backup-{kind(settings)}", settings)
        unit.commit()
    running.dispose()
    late = put(settings, "late")
    assert held(settings, late) != before

    lose(settings)
    run(f"restore-{kind(settings)}", settings)

    assert held(settings, early) == before
    with pytest.raises(NotFound):
        held(settings, late)
    private = [file for folder in ("keys", "tls") for file in settings.home.glob(f"{folder}/**/*")]
    assert [file for file in private if file.stat().st_mode & 0o077] == []
    put(settings, "afterwards")


def test_every_script_of_the_handbook_is_tried() -> None:
    assert sorted(SCRIPTS) == ["backup-postgresql", "backup-sqlite", "restore-postgresql", "restore-sqlite"]
