"""Disputes and the log over real gRPC and TLS: a client, an arbiter's agent, and commands run as a person runs them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from fakes.inference import LearningEngine
from fakes.serving import Serving, serve
from fakes.world import BASE_MODEL, FUNDS_MINOR, JOB, MONEY, ROWS, build, key

from node.arbiter.agent import Agent, check_material
from node.cli import app
from node.client.log import LogReader, advance
from node.core import dataset, receipt, revealed
from node.core.adapter import FILES, WEIGHTS
from node.core.job import Actor, State
from node.core.messages import Ruling
from node.core.ruling import Standing
from node.core.verdict import Outcome
from node.crypto.certificates import Role
from node.crypto.digest import digest
from node.errors import Conflict, IntegrityFailure, InvalidInput, NotFound
from node.storage import tls
from node.storage.checkpoints import KeptCheckpoints
from node.storage.keys import read_trust
from node.wire.channel import open_channel
from node.workflow import prepare, queries, transparency


@dataclass(slots=True)
class Arbiter:
    """An arbiter's agent at a coordinator, with an engine that learns by heart."""

    serving: Serving

    def agent(self, channel: grpc.aio.Channel) -> Agent:
        return Agent(
            channel,
            key("arbiter"),
            coordinators=self.serving.world.node.trusted,
            base_model=BASE_MODEL,
            adapters=self.serving.world.node.adapters,
            engine=LearningEngine(BASE_MODEL),
        )

    async def rule(self) -> str:
        """What it tells after it ruled on the one case there is."""
        told: list[str] = []
        async with open_channel(self.serving.address, tls.identity(self.serving.home, Role.ARBITER)) as channel:
            await self.agent(channel).run(told.append, once=True)
        return told[0]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    with serve(build(tmp_path), tmp_path / "home") as running:
        yield running


def hallmark(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `hallmark ARGUMENTS`."""
    monkeypatch.setattr("sys.argv", ["hallmark", *arguments])
    try:
        app.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


# Disputes


def test_a_challenge_by_command_is_ruled_on_by_the_arbiters_agent(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serving.world.advance_to(State.EVALUATED)
    where = ("--coordinator", serving.address, "--home", str(serving.home))
    assert hallmark(monkeypatch, "challenge", JOB, *where, "--as", "provider", "--yes") == 0
    told = capsys.readouterr().out
    for part in (
        "ACCEPT",
        f"{MONEY.challenge_bond_minor} CREDIT",
        key("arbiter").public.key_id,
        "near-tie",
        "Challenged.",
    ):
        assert part in told
    assert serving.world.job().state is State.CHALLENGED
    assert "ACCEPT stands, and the provider loses" in asyncio.run(Arbiter(serving).rule())
    checked = receipt.check(queries.receipt(serving.world.node, None, JOB), serving.world.trust)
    assert checked.standing == Standing(Outcome.ACCEPT, Actor.PROVIDER)
    file = serving.home / "a.receipt.json"
    file.write_bytes(queries.receipt(serving.world.node, None, JOB))
    verify = ("receipt", "verify", str(file), "--trust", str(serving.home / "trust.json"))
    assert hallmark(monkeypatch, *verify) == 0
    assert "by the provider; ACCEPT stands, the provider lost its bond" in capsys.readouterr().out
    assert hallmark(monkeypatch, *verify, "--json") == 0
    assert json.loads(capsys.readouterr().out)["bond_lost_by"] == "provider"
    assert hallmark(monkeypatch, "challenge", JOB, *where, "--yes") == 9
    assert "nothing to challenge" in capsys.readouterr().err


def test_without_somebodys_yes_nothing_is_challenged(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serving.world.advance_to(State.EVALUATED)
    where = ("--coordinator", serving.address, "--home", str(serving.home))
    assert hallmark(monkeypatch, "challenge", JOB, *where) == 2
    assert "locks" in capsys.readouterr().out
    assert serving.world.job().state is State.EVALUATED


def test_a_coordinator_that_serves_another_adapter_than_it_judged_loses_its_bond(serving: Serving) -> None:
    world = serving.world
    world.advance_to(State.EVALUATED)
    world.challenge()
    with world.node.units() as unit:
        other = world.node.blobs.put(b"learned:another")
        for name in FILES:
            unit.files.remove(JOB, name)
            unit.files.put(JOB, name, other)
        unit.commit()
    assert "cannot be repeated; INCONCLUSIVE stands, and the coordinator loses" in asyncio.run(Arbiter(serving).rule())
    ruling: Ruling = world.chain().find(Ruling)
    assert ruling.judgement is None


def test_an_arbiter_rules_on_nothing_but_its_own_open_cases(serving: Serving) -> None:
    world = serving.world
    world.advance_to(State.EVALUATED)

    async def rule() -> None:
        async with open_channel(serving.address, tls.identity(serving.home, Role.ARBITER)) as channel:
            agent = Arbiter(serving).agent(channel)
            with pytest.raises(Conflict, match="waits for no ruling"):
                await agent.rule(JOB)
            with pytest.raises(NotFound):
                await agent.rule("job-2")
            world.challenge()
            elsewhere = Agent(
                channel,
                key("arbiter"),
                coordinators=world.node.trusted,
                base_model=digest("test", b"another model"),
                adapters=world.node.adapters,
                engine=LearningEngine(BASE_MODEL),
            )
            with pytest.raises(Conflict, match="is about base model"):
                await elsewhere.rule(JOB)

    asyncio.run(rule())
    assert world.job().state is State.CHALLENGED


@pytest.mark.parametrize("what", ["adapter", "gate", "rows", "other rows"])
def test_an_arbiter_takes_no_other_material_than_what_was_signed_for(tmp_path: Path, what: str) -> None:
    world = build(tmp_path)
    world.advance_to(State.EVALUATED)
    chain, adapters = world.chain(), world.node.adapters
    with world.node.units() as unit:
        files = {name: world.node.blobs.file(blob) for name, blob in unit.files.all(JOB).items()}
    rows = dataset.to_jsonl(ROWS)
    check_material(chain, files, rows, adapters)

    class Stricter:
        def check(self, files: Mapping[str, Path], training: object) -> None:
            raise InvalidInput("Not this one.")

    (tmp_path / "other").write_bytes(b"learned:other")
    changed: Sequence[object] = {
        "adapter": (chain, files | {WEIGHTS: tmp_path / "other"}, rows, adapters),
        "gate": (chain, files, rows, Stricter()),
        "rows": (chain, files, rows + b"\n", adapters),
        "other rows": (chain, files, dataset.to_jsonl(ROWS[1:]), adapters),
    }[what]
    with pytest.raises((IntegrityFailure, InvalidInput)):
        check_material(*changed)  # type: ignore[arg-type]
    world.database.dispose()


# The log


def test_a_client_follows_the_log_and_keeps_what_it_saw(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = KeptCheckpoints(serving.home, serving.world.trust)
    command = ("log", "checkpoint", "--coordinator", serving.address, "--home", str(serving.home))
    for state in (State.COMMITTED, State.TRAINING, State.SETTLED):
        serving.world.advance_to(state)
        assert hallmark(monkeypatch, *command, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told["size"] == len(serving.world.chain().messages)
        assert told["extends"] == (state is not State.COMMITTED)
        assert len(kept.all()) == 1
    assert hallmark(monkeypatch, *command) == 0
    assert "proven to extend  1 checkpoint kept before" in capsys.readouterr().out


def test_a_receipts_checkpoint_is_kept_and_proven_with_the_next_one(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serving.world.advance_to(State.SETTLED)
    monkeypatch.setenv("HALLMARK_HOME", str(serving.home))
    file = serving.home / "a.receipt.json"
    file.write_bytes(queries.receipt(serving.world.node, None, JOB))
    assert hallmark(monkeypatch, "receipt", "verify", str(file)) == 0
    serving.world.create(serving.world.offer(ROWS[1:], job_id="job-2"))
    capsys.readouterr()
    assert hallmark(monkeypatch, "log", "checkpoint", "--coordinator", serving.address, "--json") == 0
    assert json.loads(capsys.readouterr().out)["extends"] == 1


@pytest.mark.parametrize("kept_state", [State.OFFERED, State.COMMITTED, State.AGREED, State.TRAINING, State.UPLOADED])
def test_a_forked_log_is_caught_and_proven_to_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kept_state: State
) -> None:
    """The same coordinator shows this client one log, and later another one, as a backup that was restored would."""
    first, second = build(_made(tmp_path / "first")), build(_made(tmp_path / "second"))
    first.advance_to(kept_state)
    second.create(second.offer(ROWS[1:]))
    second.advance_to(State.UPLOADED)
    with serve(second, tmp_path / "home") as serving:
        assert first.trust == second.trust == read_trust(serving.home / "trust.json")
        KeptCheckpoints(serving.home, first.trust).keep(transparency.checkpoint(first.node))
        where = ("--coordinator", serving.address, "--home", str(serving.home))
        assert hallmark(monkeypatch, "log", "checkpoint", *where) == 3
        assert "signed two histories" in capsys.readouterr().err
        (proof,) = (serving.home / "equivocations").iterdir()
        verify = ("log", "verify", str(proof), "--home", str(serving.home))
        assert hallmark(monkeypatch, *verify) == 0
        assert "Proven: The log of" in capsys.readouterr().out
        assert hallmark(monkeypatch, "log", "accuse", JOB, *where) == 3
        assert "show no fault" in capsys.readouterr().err
        assert hallmark(monkeypatch, "log", "accuse", JOB, *where, "--evidence", str(proof), "--as", "provider") == 0
        assert second.job().state is State.FAULTED
        assert second.available(second.client) == FUNDS_MINOR
        assert second.available(second.node.key) == FUNDS_MINOR - MONEY.bond_minor
        proof.write_bytes(proof.read_bytes()[:-1])
        assert hallmark(monkeypatch, *verify) == 3
    first.database.dispose()


def test_a_truncated_log_is_refused(tmp_path: Path) -> None:
    first, second = build(_made(tmp_path / "first")), build(_made(tmp_path / "second"))
    first.advance_to(State.TRAINING)
    second.create()
    kept = [transparency.checkpoint(first.node)]

    async def ask(serving: Serving) -> None:
        async with open_channel(serving.address, tls.identity(serving.home, Role.CLIENT)) as channel:
            with pytest.raises(IntegrityFailure, match="shrunk"):
                await advance(LogReader(channel), kept, first.trust)

    with serve(second, tmp_path / "home") as serving:
        asyncio.run(ask(serving))
    first.database.dispose()


def test_two_receipts_of_two_histories_prove_equivocation_without_asking_anybody(tmp_path: Path) -> None:
    first, second = build(_made(tmp_path / "first")), build(_made(tmp_path / "second"))
    kept = KeptCheckpoints(tmp_path / "home", first.trust)
    first.advance_to(State.SETTLED)
    second.create(second.offer(ROWS[1:]))
    second.advance_to(State.SETTLED)
    kept.keep(receipt.from_bytes(queries.receipt(first.node, None, JOB)).checkpoint)
    with pytest.raises(IntegrityFailure, match="two histories"):
        kept.keep(receipt.from_bytes(queries.receipt(second.node, None, JOB)).checkpoint)
    for world in (first, second):
        world.database.dispose()


def test_the_reveal_is_fetched_checked_and_written(
    serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serving.world.create()
    prepare.prepare(serving.world.node, JOB)
    file = tmp_path / "reveal.json"
    command = ("log", "reveal", JOB, str(file), "--coordinator", serving.address, "--home", str(serving.home))
    assert hallmark(monkeypatch, *command) == 9
    serving.world.advance_to(State.REVEALED)
    assert hallmark(monkeypatch, *command) == 0
    assert "9 marks in 3 groups, 6 held-out pairs" in capsys.readouterr().out
    assert revealed.from_bytes(file.read_bytes(), trusted=serving.world.node.trusted) == serving.world.chain()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
