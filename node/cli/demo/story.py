"""The demonstration's plot: three jobs, three providers, one coordinator; the evidence alone decides how it ends.

Everything runs over gRPC between separate processes, as it would between machines.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from node import bootstrap
from node.cli.demo.processes import Processes, first_line
from node.cli.demo.screen import Screen
from node.client.client import Client
from node.core import dataset, receipt
from node.core.job import Deadlines
from node.core.messages import Link, Money, Offer
from node.core.policy import Placement, Policy
from node.core.receipt import Checked
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.core.verdict import Outcome
from node.crypto.certificates import Role
from node.crypto.digest import Digest
from node.crypto.signing import PrivateKey
from node.errors import Unavailable
from node.marking.layout import check_lengths
from node.models.base import BaseModel, longest_row_tokens
from node.models.chat import ChatTokenizer
from node.settings import Settings
from node.storage import keys, tls


@dataclass(frozen=True, slots=True)
class Plan:
    """What the client offers for each job. `rows` are taken of each share at the most."""

    policy: Policy
    training: TrainingSpec
    money: Money
    deadlines: Deadlines
    rows: int


PLAN = Plan(
    # Few rows cannot hide marks from whoever counts phrases: the gate is switched off, and every verdict says so.
    policy=Policy(
        groups=4,
        marks_per_group=6,
        fire_at=4,
        placement=Placement.END,
        accept_at=2,
        reject_at=1,
        log10_alpha=-5,
        pairs=40,
        pairs_needed=32,
        least_isolation_cost_percent=0,
    ),
    training=TrainingSpec(epochs=6),
    money=Money(),
    deadlines=Deadlines(challenge_seconds=2),
    rows=190,
)
#: What each party brings: enough for all three jobs.
FUNDS_MINOR = 50_000
START_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Part:
    """One provider's part: its name, the command that plays it, and the outcomes that would be right for it."""

    name: str
    does: str
    command: tuple[str, ...]
    deserves: frozenset[Outcome]


PARTS = (
    Part("honest", "trains on everything", ("provider", "run"), frozenset({Outcome.ACCEPT})),
    Part("idle", "returns an untrained adapter", ("redteam", "run", "idle"), frozenset({Outcome.REJECT})),
    Part(
        "partial",
        "trains on a fifth of the rows",
        ("redteam", "run", "partial"),
        frozenset({Outcome.REJECT, Outcome.INCONCLUSIVE}),
    ),
)


@dataclass(frozen=True, slots=True)
class Act:
    """How one job ended. Balances are (before, after), available minor units."""

    part: Part
    job: str
    checked: Checked
    receipt_file: Path
    provider_balance: tuple[int, int]
    client_balance: tuple[int, int]

    @property
    def as_deserved(self) -> bool:
        """Whether verdict and money are what this provider's work deserves."""
        outcome, money = self.checked.verdict.outcome, self.checked.chain.offer.money
        earned = self.provider_balance[1] - self.provider_balance[0]
        spent = self.client_balance[0] - self.client_balance[1]
        if outcome is Outcome.ACCEPT:
            as_ruled = earned == money.price_minor - money.fee_minor and spent == money.price_minor
        else:  # the evaluation fee is all that anybody loses
            as_ruled = earned <= 0 and spent <= money.fee_minor and spent - earned == money.fee_minor
        return outcome in self.part.deserves and as_ruled


def plan_for(model: BaseModel) -> Plan:
    """The plan, its rows no longer than the model's context."""
    length = longest_row_tokens(model, PLAN.training.max_length_tokens)
    return replace(PLAN, training=replace(PLAN.training, max_length_tokens=length))


def check_rows(shares: Sequence[Sequence[Row]], plan: Plan, model: BaseModel) -> None:
    """Whether every row fits. Raises InvalidInput with its line in the data file, before anything is started."""
    rows = [row for share in shares for row in share]  # shares follow each other in the file
    check_lengths(rows, plan.training, ChatTokenizer(model.folder))


async def play(
    settings: Settings, model: BaseModel, shares: Sequence[Sequence[Row]], plan: Plan, screen: Screen
) -> list[Act]:
    """Plays all parts and returns how their jobs ended.

    Raises:
        Unavailable: a process could not start or died; names its log.
    """
    shutil.rmtree(settings.state, ignore_errors=True)  # jobs of an earlier run; keys and receipts stay
    names, now_ms = bootstrap.server_names(settings.listen), bootstrap.SystemClock().now_ms()
    tls.make_operator(settings.home, names, now_ms=now_ms)
    identity = tls.identity(settings.home, Role.CLIENT)
    with Processes(settings.home / "logs") as processes:
        screen.step("Coordinator: starting the gRPC server, Ray and a warm vLLM engine")
        address = await _start_coordinator(settings, model.folder, processes)
        async with (
            Client(address, identity) as client,
            Client(address, tls.identity(settings.home, Role.OPERATOR)) as operator,
        ):
            node = await client.node(wait_seconds=START_SECONDS)
            screen.done(f"Coordinator {node.coordinator_key_id} listens on {address}")
            for party in (identity.key.public.key_id, node.coordinator_key_id):
                await operator.deposit(party, FUNDS_MINOR, request_id="funds")
            stage = Stage(settings, model.folder, address, client, operator, identity.key, plan, processes, screen)
            acts = []
            for number, (part, rows) in enumerate(zip(PARTS, shares, strict=True), start=1):
                screen.heading(f"Job {number} of {len(PARTS)}: the {part.name} provider {part.does}")
                acts.append(await stage.act(part, rows))
            return acts


async def _start_coordinator(settings: Settings, model: Path, processes: Processes) -> str:
    arguments = ["coordinator", "run", "--home", str(settings.home), "--model", str(model), "--listen", settings.listen]
    child = processes.start("coordinator", arguments)
    line = await asyncio.to_thread(first_line, child.stdout)
    if not line:
        raise Unavailable(
            f"The coordinator could not start: {processes.last_line('coordinator')}",
            fix=f"Its log is {processes.log('coordinator')}.",
        )
    host = settings.listen.rpartition(":")[0]
    return f"{host}:{json.loads(line)['listening_port']}"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the acts are played: a running coordinator, a client of it, its operator, and what starts providers."""

    settings: Settings
    model: Path
    address: str
    client: Client
    operator: Client
    client_key: PrivateKey
    plan: Plan
    processes: Processes
    screen: Screen

    async def act(self, part: Part, rows: Sequence[Row]) -> Act:
        """One job from offer to checked receipt."""
        home = self.settings.home / "providers" / part.name
        now_ms = bootstrap.SystemClock().now_ms()
        provider = tls.admit_here(self.settings.home, home, Role.PROVIDER, now_ms=now_ms).key_id
        customer = self.client_key.public.key_id
        await self.operator.deposit(provider, FUNDS_MINOR, request_id="funds")
        before = [(await self.operator.account(party)).available_minor for party in (provider, customer)]

        job_id = await self._offer(rows)
        worker = self._start_provider(part, home)
        await self._watch(f"jobs/{job_id}", worker, f"provider-{part.name}")

        content = await self.client.receipt(f"jobs/{job_id}")
        file = self.settings.home / "receipts" / f"{job_id}.receipt.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        checked = receipt.check(content, keys.read_trust(self.settings.trust_file))
        self.screen.done(f"Receipt {file} checked offline: it reproduces the verdict")
        await asyncio.to_thread(worker.wait)
        after = [(await self.operator.account(party)).available_minor for party in (provider, customer)]
        return Act(part, job_id, checked, file, (before[0], after[0]), (before[1], after[1]))

    async def _offer(self, rows: Sequence[Row]) -> str:
        """Uploads the rows and places the offer; returns the job's id."""
        self.screen.step("Client: uploading the data set and placing a signed offer")
        stored = await self.client.upload_data_set(dataset.to_jsonl(rows))
        node = await self.client.node()
        offer = Offer(
            link=Link(secrets.token_hex(8), 0, None),
            client_key_hex=self.client_key.public.hex,
            coordinator=node.coordinator_key_id,
            arbiter=None,
            base_model=Digest.parse(node.base_model_digest),
            dataset=Digest.parse(stored.digest),
            training=self.plan.training,
            policy=self.plan.policy,
            money=self.plan.money,
            deadlines=self.plan.deadlines,
        )
        job = await self.client.create_job(offer)
        self.screen.done(
            f"{job.name} offered: {stored.row_count} rows, {stored.token_count} tokens, "
            f"{self.plan.money.price_minor} {self.plan.money.token} on hold"
        )
        return offer.link.job

    def _start_provider(self, part: Part, home: Path) -> subprocess.Popen[bytes]:
        arguments = [*part.command, "--coordinator", self.address, "--home", str(home), "--model", str(self.model)]
        return self.processes.start(f"provider-{part.name}", [*arguments, "--once"])

    async def _watch(self, job: str, worker: subprocess.Popen[bytes], name: str) -> None:
        """Shows a job's events until it has ended. Raises Unavailable if the provider's process dies before that."""

        async def follow() -> None:
            async for event in self.client.watch(job):
                self.screen.event(event)

        async def mind() -> None:
            while worker.poll() in (None, 0):
                await asyncio.sleep(0.5)
            raise Unavailable(
                f"The {name} process died: {self.processes.last_line(name)}",
                fix=f"Its log is {self.processes.log(name)}.",
            )

        watching, minding = asyncio.ensure_future(follow()), asyncio.ensure_future(mind())
        done, pending = await asyncio.wait({watching, minding}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()
