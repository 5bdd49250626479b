"""`hallmark data`, `job` and `account` against a real server: what people see, what scripts parse, what is refused."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fakes.adapters import adapter_files
from fakes.world import FUNDS_MINOR, JOB, POLICY, ROWS, World, build

from node import bootstrap
from node.cli import app
from node.coordinator.server import build_server
from node.core import dataset, document
from node.core.job import State
from node.crypto.certificates import Role
from node.storage import keys, tls
from node.workflow import accounts, verify


@dataclass(slots=True)
class Served:
    """A coordinator's inside, and where it serves; `home` is its operator's and, beside that, its client's."""

    world: World
    home: Path
    port: int

    @property
    def me(self) -> str:
        return self.world.client.public.key_id


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    home = folder / "home"
    tls.make_operator(home, (), now_ms=time.time_ns() // 1_000_000)
    world = build(folder)
    key, log_key = (keys.load_or_create(home / "keys" / f"{name}.pem") for name in ("coordinator", "log"))
    world.node = replace(world.node, key=key, log_key=log_key)
    world.client = tls.identity(home, Role.CLIENT).key
    for party in (world.client, world.node.key):
        world.deposit(party)
    loop = asyncio.new_event_loop()

    async def start() -> Any:
        built = build_server(world.node, "127.0.0.1:0", bootstrap.access(home))
        await built.server.start()
        return built

    built = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield Served(world, home, built.port)
    asyncio.run_coroutine_threadsafe(built.server.stop(grace=None), loop).result(timeout=10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    world.database.dispose()


@pytest.fixture
def hallmark(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command; its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HALLMARK_HOME", str(served.home))
    monkeypatch.setenv("HALLMARK_COORDINATOR", f"127.0.0.1:{served.port}")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["hallmark", *arguments])
        code: Any = 0
        try:
            app.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return run


def rows_file(folder: Path, first: int = 0) -> str:
    file = folder / "rows.jsonl"
    file.write_bytes(dataset.to_jsonl(ROWS[first:]))
    return str(file)


def small_policy(folder: Path) -> str:
    file = folder / "plan.json"
    file.write_text(json.dumps({"policy": document.to_json(POLICY)}))
    return str(file)


Run = Callable[..., tuple[int, str, str]]


def test_data_is_checked_without_a_coordinator(hallmark: Run, tmp_path: Path) -> None:
    code, out, _ = hallmark("data", "check", rows_file(tmp_path))
    assert (code, out) == (0, f"{tmp_path}/rows.jsonl: 40 rows, every line is well formed.\n")
    (tmp_path / "bad.jsonl").write_text('{"prompt": "p"}\n{"prompt": "p", "completion": " "}\n')
    code, out, err = hallmark("data", "check", str(tmp_path / "bad.jsonl"))
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0].startswith("  line 1: $: A row is")
    assert lines[1].startswith("  line 2: $.messages[1].content: A message is empty")
    assert lines[2].startswith("hallmark: 2 wrong line(s); the first is line 1")
    assert hallmark("data", "check", str(tmp_path / "none.jsonl"))[0] == 2


def test_data_is_uploaded_listed_and_deleted(hallmark: Run, tmp_path: Path) -> None:
    file = rows_file(tmp_path, 3)
    code, out, _ = hallmark("data", "upload", file, "--check-only")
    assert (code, out.endswith("; not kept\n")) == (0, True)
    name = json.loads(hallmark("data", "upload", file, "--json")[1])["name"]
    assert name in [each["name"] for each in json.loads(hallmark("data", "list", "--json")[1])]
    assert hallmark("data", "list")[1]
    assert hallmark("data", "delete", name)[:2] == (0, f"{name} is deleted.\n")
    code, _, err = hallmark("data", "delete", name)
    assert code == 7
    assert err.startswith("hallmark: You have no data set")


def test_a_job_is_quoted_placed_shown_and_cancelled(served: Served, hallmark: Run, tmp_path: Path) -> None:
    wish = [rows_file(tmp_path, 1), "--price", "9000", "--policy", small_policy(tmp_path)]
    code, out, _ = hallmark("job", "quote", *wish, "--set", "training.epochs=6")
    assert code == 0
    assert "9,000 CREDIT; the provider stakes 1,800" in out
    assert "6 epochs" in out
    assert "9 marks in 3 groups; 6 rows are held back" in out
    assert json.loads(hallmark("job", "quote", *wish, "--json")[1])["offer"]["money"]["price_minor"] == 9000

    code, out, err = hallmark("job", "create", *wish, "--no-watch")
    assert (code, err) == (2, "hallmark: Nobody is there to confirm this. Give --yes.\n")
    assert hallmark("account", "deposit", served.world.node.key.public.key_id, "7")[0] == 0  # its bond is as large
    code, out, err = hallmark("job", "create", *wish, "--price", str(FUNDS_MINOR + 7), "--yes")
    assert (code, f"`hallmark account deposit {served.me} 7`" in err) == (9, True)
    assert "would take this offer" in hallmark("job", "create", *wish, "--check-only")[1]
    job = json.loads(hallmark("job", "create", *wish, "--yes", "--no-watch", "--json")[1])
    assert (job["state"], job["waits_for"]) == ("JOB_STATE_OFFERED", "coordinator")
    job_id = job["name"].removeprefix("jobs/")
    code, out, _ = hallmark("job", "show", job_id)
    assert out.startswith(f"Job {job_id} is offered.\n  waits for         coordinator, until ")
    assert "then: The job is cancelled and the hold on the price released." in out
    assert job_id in hallmark("job", "list", "--state", "offered")[1]
    assert job_id in hallmark("job", "list", "--as", "operator")[1]
    assert hallmark("account", "show")[1].endswith(f", 9,000 locked\n  9,000 in {job_id}\n")
    code, out, _ = hallmark("job", "cancel", job_id)
    assert (code, out.startswith(f"Job {job_id} is cancelled.\n  price             9,000 CREDIT for ")) == (0, True)
    assert job_id not in hallmark("job", "list", "--state", "offered")[1]
    code, _, err = hallmark("job", "list", "--state", "lost")
    assert (code, "There is no state 'lost'" in err) == (2, True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("epochs=3", "changes nothing"),
        ("training.epochs", "changes nothing"),
        ("money.price=3", "changes nothing"),
        ("training.epoch=3", "Did you mean epochs?"),
        ("training.epochs=many", "expected int, found str"),
    ],
)
def test_a_wish_that_is_none_is_refused(hallmark: Run, tmp_path: Path, change: str, told: str) -> None:
    code, _, err = hallmark("job", "quote", rows_file(tmp_path, 2), "--set", change)
    assert code == 2
    assert told in err


def test_a_settled_job_is_watched_and_fetched(served: Served, hallmark: Run, tmp_path: Path) -> None:
    code, _, err = hallmark("job", "receipt", JOB)
    assert (code, err.startswith(f"hallmark: There is no job {JOB}.")) == (7, True)
    served.world.advance_to(State.TRAINING)
    served.world.hand_in_checkpoint(1, ROWS[:1])
    served.world.advance_to(State.EVALUATED)
    code, _, err = hallmark("job", "receipt", JOB)
    assert (code, "Job job-1 is evaluated. A receipt is written when a verdict settles." in err) == (9, True)
    code, _, err = hallmark("job", "adapter", JOB)
    assert (code, "its adapter is the client's once an ACCEPT is settled" in err) == (9, True)
    assert not list(tmp_path.iterdir())
    code, _, err = hallmark("job", "cancel", JOB)
    assert (code, "a job is cancelled before a provider signs its terms" in err) == (9, True)
    served.world.silence()

    code, out, err = hallmark("job", "watch", JOB)
    assert code == 0
    assert "  verdict           ACCEPT: enough groups fired" in out
    assert f"Next: hallmark job receipt {JOB}\n      hallmark job adapter {JOB}\n" in out
    assert "Offer placed; the price is on hold." in err
    events = [json.loads(line) for line in hallmark("job", "watch", JOB, "--after", "2", "--json")[1].splitlines()]
    assert [events[0]["sequence"], events[-1]["state"]] == [3, "settled"]

    assert hallmark("job", "receipt", JOB)[0] == 0
    trust = tmp_path / "trust.json"
    keys.write_trust(trust, coordinator=served.world.node.key.public, log=served.world.node.log_key.public)
    assert hallmark("receipt", "verify", f"{JOB}.receipt.json", "--trust", str(trust))[0] == 0
    code, out, _ = hallmark("job", "adapter", JOB)
    assert code == 0
    assert sorted(file.name for file in (tmp_path / f"{JOB}.adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_checkpoints_are_shown_with_what_they_showed_and_fetched(served: Served, hallmark: Run, tmp_path: Path) -> None:
    served.world.advance_to(State.TRAINING)
    served.world.hand_in_checkpoint(1, ROWS[:1])
    served.world.advance_to(State.SETTLED)
    verify.ask_checkpoint(served.world.node, f"{JOB}/1")
    shown = hallmark("job", "show", JOB)[1]
    assert "Checkpoints, asked for the marks after the verdict, which does not rest on them:" in shown
    assert "1 0 of 3 0 of 9 (0, 0, 0)" in " ".join(shown.split())
    (checkpoint,) = json.loads(hallmark("job", "show", JOB, "--json")[1])["checkpoints"]
    assert checkpoint["epoch"] == 1
    assert checkpoint["activation"]["marks_fired"] == [0, 0, 0]

    assert hallmark("job", "adapter", JOB, "--epoch", "1")[0] == 0
    fetched = tmp_path / f"{JOB}.epoch-1.adapter"
    assert (fetched / "adapter_model.safetensors").read_bytes() == adapter_files(ROWS[:1])["adapter_model.safetensors"]
    assert (fetched / "adapter_config.json").exists()
    code, _, err = hallmark("job", "adapter", JOB, "--epoch", "2")
    assert (code, "There are those of the epochs 1." in err) == (7, True)


def test_money_is_shown_moved_and_accounted_for(served: Served, hallmark: Run) -> None:
    before = accounts.account(served.world.node, None, served.me).account.available_minor
    assert hallmark("account", "deposit", served.me, "500", "--request-id", "r")[0] == 0
    again = json.loads(hallmark("account", "deposit", served.me, "500", "--request-id", "r", "--json")[1])
    assert again["available_minor"] == str(before + 500)
    code, out, _ = hallmark("account", "withdraw", "200")
    assert (code, out) == (0, f"{served.me}: {before + 300:,} CREDIT available, 0 locked\n")
    newest = json.loads(hallmark("account", "transfers", "--limit", "2", "--json")[1])
    assert [each["amount_minor"] for each in newest] == ["200", "500"]
    assert {each["phase"] for each in newest} == {"TRANSFER_PHASE_DIRECT"}
    assert "external this account 500 CREDIT" in " ".join(hallmark("account", "transfers")[1].split())
    code, _, err = hallmark("account", "withdraw", str(10 * FUNDS_MINOR))
    assert (code, err.startswith("hallmark: ")) == (9, True)
    provider = served.world.provider.public.key_id
    assert hallmark("account", "show", provider)[0] == 7
    assert hallmark("account", "show", provider, "--as", "operator")[0] == 0


def test_a_part_that_an_operators_home_had_not_yet_is_made_there_and_said(served: Served, hallmark: Run) -> None:
    code, _, err = hallmark("account", "show", "--as", "arbiter")
    assert (code, f"{served.home} is an operator's; an identity as arbiter was made there" in err) == (0, True)
    assert hallmark("account", "show", "--as", "arbiter")[2] == ""


def test_a_home_without_a_certificate_says_how_to_get_one(hallmark: Run, tmp_path: Path) -> None:
    code, _, err = hallmark("job", "list", "--home", str(tmp_path / "empty"))
    assert (code, "Run `hallmark init --role client`" in err) == (7, True)
