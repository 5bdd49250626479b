"""`hallmark doctor`: each fault is found, named, and cured by the line that stands beside it."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fakes.databases import sqlite_url
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from node.cli.app import app
from node.cli.doctor import findings, machine
from node.cli.doctor.command import checks
from node.cli.doctor.findings import Finding, Level
from node.crypto.certificates import Role
from node.settings import Settings
from node.storage import tls

runner = CliRunner()
NOW_MS = time.time_ns() // 1_000_000
DAY_MS = 86_400_000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An operator's home that has never started a coordinator; nothing listens on its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("HALLMARK_LISTEN", f"127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    tls.make_operator(home, [], now_ms=NOW_MS)
    return home


def examine(home: Path, *options: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Exit code, and what each check found."""
    done = runner.invoke(app, ["doctor", "--home", str(home), "--json", *options])
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(done.stdout):
        found.setdefault(finding["check"], []).append(finding)
    return done.exit_code, found


def of(found: dict[str, list[dict[str, Any]]], check: str) -> dict[str, Any]:
    (finding,) = found[check]
    return finding


def test_a_home_that_is_ready_has_nothing_broken(home: Path) -> None:
    code, found = examine(home)
    assert list(found) == list(checks(must_serve=False))
    expected = ("keys", "certificates", "database", "blobs", "coordinator")
    assert {of(found, name)["level"] for name in expected} == {"ok"}
    assert code == 0


def test_a_new_machine_is_warned_and_told_to_begin_with_init(tmp_path: Path) -> None:
    code, found = examine(tmp_path / "new")
    assert code == 0
    assert (of(found, "keys")["level"], of(found, "keys")["fix"]) == (
        "warning",
        f"hallmark init --home {tmp_path / 'new'}",
    )
    assert not (tmp_path / "new").exists()


def test_every_warning_and_everything_broken_comes_with_a_cure(home: Path) -> None:
    tls.server_file(home).chmod(0o644)
    _, found = examine(home, "--serving")
    for finding in (each for list_of in found.values() for each in list_of):
        assert bool(finding["fix"]) == (finding["level"] != "ok")


def test_keys_that_others_may_read_are_broken_and_the_cure_cures(home: Path) -> None:
    (home / "keys" / "coordinator.pem").chmod(0o640)
    (home / "tls").chmod(0o755)
    code, found = examine(home)
    assert code == 1
    assert "coordinator.pem" in of(found, "keys")["found"]
    subprocess.run(shlex.split(of(found, "keys")["fix"]), check=True)
    assert examine(home)[0] == 0


@pytest.mark.parametrize(("days_ago", "level", "code"), [(70, "warning", 0), (91, "broken", 1)])
def test_certificates_that_end_are_told_before_and_after(
    days_ago: int, level: str, code: int, tmp_path: Path, home: Path
) -> None:
    old = tmp_path / "old home"
    tls.make_operator(old, [], now_ms=NOW_MS - days_ago * DAY_MS)
    done, found = examine(old)
    assert {(each["level"], each["fix"]) for each in found["certificates"]} == {
        (level, f"hallmark init --rotate --home '{old}'")
    }
    assert done == code
    runner.invoke(app, shlex.split(found["certificates"][0]["fix"])[1:])
    assert of(examine(old)[1], "certificates")["level"] == "ok"


def test_a_port_that_a_stranger_took_is_broken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        monkeypatch.setenv("HALLMARK_LISTEN", f"127.0.0.1:{stranger.getsockname()[1]}")
        code, found = examine(home)
    assert code == 1
    assert "not by a coordinator that serves" in of(found, "coordinator")["found"]


def test_a_coordinator_that_should_serve_and_does_not_is_broken(home: Path) -> None:
    code, found = examine(home, "--serving")
    assert code == 1
    assert "No coordinator serves" in of(found, "coordinator")["found"]


def test_a_party_is_told_when_its_coordinator_does_not_answer(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALLMARK_COORDINATOR", os.environ["HALLMARK_LISTEN"])
    tls.admit_here(home, tmp_path / "provider", Role.PROVIDER, now_ms=NOW_MS)
    code, found = examine(tmp_path / "provider")
    assert code == 1
    assert "serves this provider" in of(found, "coordinator")["found"]
    assert "--describe" in of(found, "coordinator")["fix"]
    assert "database" not in found


@pytest.fixture
def database(home: Path) -> str:
    (home / "state").mkdir()
    return sqlite_url(home / "state" / "hallmark.sqlite")


def change(database: str, statement: str, **values: int) -> None:
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text(statement), values)
    engine.dispose()


def test_a_database_of_this_version_is_well(home: Path, database: str) -> None:
    assert of(examine(home)[1], "database") == {
        "check": "database",
        "level": "ok",
        "found": "The database answers; its tables are of this version",
        "fix": "",
    }


def test_a_database_of_a_newer_version_is_broken(home: Path, database: str) -> None:
    change(database, "UPDATE alembic_version SET version_num = '9999'")
    code, found = examine(home)
    assert code == 1
    assert "9999" in of(found, "database")["found"]


def test_a_database_of_an_older_version_is_a_warning_and_is_left_as_it_is(home: Path, database: str) -> None:
    change(database, "UPDATE alembic_version SET version_num = '0001'")
    for _ in range(2):
        code, found = examine(home)
        assert (code, of(found, "database")["level"]) == (0, "warning")


def test_a_clock_behind_the_last_transaction_is_broken(home: Path, database: str) -> None:
    change(
        database,
        "INSERT INTO escrow_transactions (caller, request_id, time_ms, function, content, events)"
        " VALUES ('a', 'b', :time_ms, 'deposit', '{}', '[]')",
        time_ms=NOW_MS + DAY_MS,
    )
    code, found = examine(home)
    assert code == 1
    assert "in this machine's future" in of(found, "database")["found"]


def test_a_database_out_of_reach_is_broken_and_its_password_stays_hidden(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALLMARK_DATABASE", "postgresql://hallmark:s3cret@127.0.0.1:1/hallmark")
    code, found = examine(home)
    assert code == 1
    assert "s3cret" not in str(found)
    assert of(found, "database")["fix"] == "pg_isready --host=127.0.0.1 --port=1"


def test_a_check_that_fails_itself_is_a_finding() -> None:
    def check(settings: Settings) -> list[Finding]:
        raise OSError("no such thing")

    (finding,) = findings.findings(check, Settings())
    assert (finding.level, finding.found) == (Level.BROKEN, "This could not be checked (OSError: no such thing).")


def test_pins_are_those_that_hold_always_or_for_the_extra() -> None:
    needed = [
        "rich==15.0.0",
        "typer>=1",
        "torch==2.13.0; extra == 'cpu'",
        'psycopg[binary]==3.3.9; extra == "postgres"',
        "hallmark-node[stack]; extra == 'cpu'",
    ]
    assert machine.pins(needed, {"", "cpu"}) == {"rich": "15.0.0", "torch": "2.13.0"}
    assert machine.pins(needed, {"postgres"}) == {"psycopg": "3.3.9"}


def test_the_screen_says_the_same_in_words(home: Path) -> None:
    done = runner.invoke(app, ["doctor", "--home", str(home), "--serving"])
    assert done.exit_code == 1
    assert "broken   coordinator   No coordinator serves" in done.stdout
    assert "hallmark coordinator run" in done.stdout


def test_it_loads_no_model_library_and_is_quick(home: Path) -> None:
    code = (
        "import sys, resource\nfrom node.cli.app import app\n"
        f"app(['doctor', '--home', {str(home)!r}], standalone_mode=False)\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime, *{'torch', 'ray', 'vllm', 'transformers', 'peft'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, *heavy = done.stdout.splitlines()[-1].split()
    assert heavy == []
    assert float(seconds) < 5
