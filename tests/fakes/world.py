"""A coordinator with everything real but its models: SQLite, escrow and blobs in a folder, time in the test's hand.

`World` also plays the other parties: it signs as the client and as the provider, and knows each step of a job's life.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fakes.adapters import FakeAdapters, adapter_files
from fakes.clock import FakeClock
from fakes.databases import sqlite_url
from fakes.entropy import CountingEntropy
from fakes.inference import LearningEngine
from fakes.language_model import WordListModel
from fakes.tokenizer import WordTokenizer
from sqlalchemy import Engine, inspect, text

from node.core import dataset
from node.core.adapter import FILES, WEIGHTS, adapter_digest
from node.core.events import Progress
from node.core.job import Actor, Deadlines, Job, State
from node.core.messages import (
    AdapterCommit,
    Chain,
    Challenge,
    DataReceipt,
    Judgement,
    Link,
    Message,
    Money,
    Offer,
    Ruling,
    Terms,
    seal,
)
from node.core.policy import Drawing, Placement, Policy
from node.core.receipt import Trust
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.digest import Digest, digest, sha256_digest
from node.crypto.signing import Envelope, PrivateKey
from node.ports.escrow import EscrowCall
from node.settlement.escrow import ContractEscrow
from node.settlement.faults import fault_check
from node.storage.blobs import FolderBlobs
from node.storage.database import SqlUnits, open_engine
from node.workflow import (
    challenge,
    data_sets,
    deliver,
    dispatch,
    prepare,
    record,
    reveal,
    settle,
    submit,
    uploads,
    verify,
)
from node.workflow.fault import gate_over
from node.workflow.node import Limits, Node

JOB = "job-1"
BASE_MODEL = digest("test", b"base model")
FUNDS_MINOR = 50_000
ROWS = tuple(
    Row.of(f"What is said of item{n}", f"Item {n} is number {n} of a list. {'It is. ' * (n % 4)}") for n in range(40)
)
#: Small enough for a table on one screen; a signature can be guessed with probability 4 ** -6 = 2 ** -12.
POLICY = Policy(
    groups=3,
    marks_per_group=3,
    fire_at=2,
    drawing=Drawing.UNIFORM,
    candidates=4,
    trigger_words=4,
    signature_bits=12,
    placement=Placement.END,
    accept_at=2,
    reject_at=0,
    log10_alpha=-3,
    control_limit_percent=0,
    pairs=6,
    pairs_needed=0,
    least_isolation_cost_percent=0,
)
MONEY = Money()
DEADLINES = Deadlines()


def key(name: str) -> PrivateKey:
    """The same key for the same name, always."""
    return PrivateKey.from_seed(digest("test-key", name.encode()).raw)


@dataclass(slots=True)
class World:
    """One node and its counterparts. `fence` is that of the provider's lease once it has one."""

    node: Node
    database: Engine
    clock: FakeClock
    engine: LearningEngine
    client: PrivateKey
    provider: PrivateKey
    fence: int = 0

    # Looking

    def job(self, job_id: str = JOB) -> Job:
        with self.node.units(read_only=True) as unit:
            return unit.jobs.get(job_id)

    def chain(self, job_id: str = JOB) -> Chain:
        with self.node.units(read_only=True) as unit:
            return record.chain_of(self.node, unit, job_id)

    def balances(self) -> dict[str, int]:
        """What each account holds, what is on hold included; `external` carries the sum with its sign turned."""
        with self.node.units(read_only=True) as unit:
            return {account.account: account.balance_minor for account in unit.escrow.accounts()}

    def available(self, party: PrivateKey) -> int:
        with self.node.units(read_only=True) as unit:
            return unit.escrow.account(f"party:{party.public.key_id}", "CREDIT").available_minor

    def told(self, job_id: str = JOB) -> list[str]:
        with self.node.units(read_only=True) as unit:
            return [event.message for event in unit.events.after(job_id, 0)]

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        with self.database.connect() as connection:
            return {
                name: sorted((tuple(row) for row in connection.execute(text(f"SELECT * FROM {name}"))), key=repr)  # noqa: S608
                for name in inspect(connection).get_table_names()
            }

    @property
    def trust(self) -> Trust:
        log = self.node.log_key.public
        return Trust(coordinators=self.node.trusted, logs={log.key_id: log})

    # Acting

    def deposit(self, party: PrivateKey, amount_minor: int = FUNDS_MINOR) -> None:
        with self.node.units() as unit:
            unit.escrow.deposit(EscrowCall(party.public.key_id, "funds", self.clock.now_ms()), "CREDIT", amount_minor)
            unit.commit()

    def offer(self, rows: Sequence[Row] = ROWS, *, job_id: str = JOB, **changes: Any) -> Offer:
        """The client's offer over rows that are uploaded first."""
        stored = data_sets.make(self.node, self.client.public.key_id, dataset.to_jsonl(rows))
        offer = Offer(
            link=Link(job_id, 0, None),
            client_key_hex=self.client.public.hex,
            coordinator=self.node.key.public.key_id,
            arbiter=key("arbiter").public.key_id,
            base_model=self.node.base_model,
            dataset=stored.digest,
            training=TrainingSpec(),
            policy=POLICY,
            money=MONEY,
            deadlines=DEADLINES,
        )
        return replace(offer, **changes)

    def create(self, offer: Offer | None = None) -> Job:
        return submit.create_job(self.node, self.client.public.key_id, seal(offer or self.offer(), self.client)).job

    def lease(self) -> dispatch.Leased:
        leased = dispatch.lease_job(self.node, self.provider.public.key_id, [self.node.base_model])
        assert leased is not None
        self.fence = leased.lease.fence
        return leased

    def post(self, message: Message, key: PrivateKey | None = None) -> Envelope:
        envelope = seal(message, key or self.provider)
        deliver.post_message(self.node, self.provider.public.key_id, message.link.job, self.fence, envelope)
        return envelope

    def countersign(self) -> None:
        if not self.fence:
            self.lease()
        self.post(Terms(self.chain().next_link(), self.provider.public.hex))

    def rows_received(self) -> tuple[Row, ...]:
        return dataset.parse(self.training_data()[1])

    def receive(self) -> None:
        self.post(DataReceipt(self.chain().next_link(), self.chain().messages[1].data_root))

    def commit_adapter(self, files: Mapping[str, bytes]) -> None:
        self.post(AdapterCommit(self.chain().next_link(), adapter_digest(files)))

    def upload(self, data: bytes, owner: PrivateKey | None = None) -> Digest:
        """Bytes, whole, as the provider's or somebody's upload."""
        party, digest = (owner or self.provider).public.key_id, sha256_digest(data)
        uploads.begin(self.node, party, digest, len(data))
        uploads.write(self.node, party, digest, 0, data)
        return digest

    def submit(self, files: Mapping[str, bytes], job_id: str = JOB) -> Envelope:
        """Submits an adapter that is uploaded."""
        digests = {name: sha256_digest(data) for name, data in files.items()}
        return deliver.submit_adapter(self.node, self.provider.public.key_id, job_id, self.fence, digests)

    def hand_in(self, files: Mapping[str, bytes], job_id: str = JOB) -> Envelope:
        """Uploads an adapter and submits it."""
        for data in files.values():
            self.upload(data)
        return self.submit(files, job_id)

    def hand_in_checkpoint(self, epoch: int, learned: Sequence[Row]) -> Digest:
        """Uploads the weights of an adapter that learned these rows, and submits them; returns their digest."""
        weights = self.upload(adapter_files(learned)[WEIGHTS])
        self.submit_checkpoint(epoch, weights)
        return weights

    def submit_checkpoint(self, epoch: int, weights: Digest) -> None:
        deliver.submit_checkpoint(self.node, self.provider.public.key_id, JOB, self.fence, epoch, weights)

    def beat(self, progress: Progress | None = None) -> deliver.Beat:
        return deliver.heartbeat(self.node, self.provider.public.key_id, JOB, self.fence, progress)

    def training_data(self) -> tuple[bytes, bytes]:
        """(salt seed, rows) as the provider downloads them."""
        seed, rows = deliver.training_data(self.node, self.provider.public.key_id, JOB, self.fence)
        return seed, self.node.blobs.get(rows)

    def challenge(self, challenger: Actor = Actor.CLIENT) -> Envelope:
        by = self.client if challenger is Actor.CLIENT else self.provider
        envelope = seal(Challenge(self.chain().next_link(), challenger), by)
        challenge.challenge(self.node, by.public.key_id, JOB, envelope)
        return envelope

    def rule(self, engine: LearningEngine | None = None) -> Envelope:
        """The arbiter repeats the verdict on an engine of its own."""
        with self.node.units() as unit:
            stored = unit.files.all(JOB)
        files = {name: self.node.blobs.file(stored[name]) for name in FILES}
        engine = engine or LearningEngine(self.node.base_model)
        return self.post_ruling(verify.judge(self.chain(), files, self.node.adapters, engine))

    def post_ruling(self, judgement: Judgement | None) -> Envelope:
        arbiter = key("arbiter")
        envelope = seal(Ruling(self.chain().next_link(), arbiter.public.hex, judgement), arbiter)
        challenge.rule(self.node, arbiter.public.key_id, JOB, envelope)
        return envelope

    def silence(self, job_id: str = JOB) -> None:
        """Nobody acts until the job's deadline; then the clock's part is done."""
        due_at_ms = self.job(job_id).due_at_ms
        assert due_at_ms is not None
        self.clock.advance_to(due_at_ms)
        settle.pass_deadline(self.node, job_id)

    def advance_to(self, state: State, files: Mapping[str, bytes] | None = None) -> None:
        """Walks the happy path until the job is in `state`. The provider is honest unless `files` are given."""
        steps: dict[State, Callable[[], object]] = {
            State.OFFERED: self.create,
            State.COMMITTED: lambda: prepare.prepare(self.node, JOB),
            State.AGREED: self.countersign,
            State.TRAINING: self.receive,
            State.SUBMITTED: lambda: self.commit_adapter(files or adapter_files(self.rows_received())),
            State.UPLOADED: lambda: self.hand_in(files or adapter_files(self.training_rows())),
            State.REVEALED: lambda: reveal.reveal(self.node, JOB),
            State.EVALUATED: lambda: verify.evaluate(self.node, JOB),
            State.SETTLED: self.silence,
        }
        with self.node.units() as unit:
            known = unit.jobs.find(JOB)
        reached = list(steps).index(known.state) + 1 if known else 0
        for step_state in list(steps)[reached : list(steps).index(state) + 1]:
            steps[step_state]()
            assert self.job().state is step_state

    def training_rows(self) -> tuple[Row, ...]:
        """What the provider was sent, as the coordinator keeps it."""
        with self.node.units(read_only=True) as unit:
            return dataset.parse(self.node.blobs.get(unit.secrets.training_data(JOB)))


def build(folder: Path, *, base_model: Digest = BASE_MODEL, database_url: str = "") -> World:
    """A funded world in `folder`, no job in it yet; its database there too, unless another one is named."""
    database = open_engine(database_url or sqlite_url(folder / "node.sqlite"))
    clock, engine = FakeClock(), LearningEngine(base_model)
    blobs, adapters = FolderBlobs(folder / "blobs"), FakeAdapters(folder / "adapters")
    coordinator, log = key("coordinator").public, key("log").public
    trust = Trust({coordinator.key_id: coordinator}, {log.key_id: log})
    proves = fault_check(trust, gate_over(blobs, adapters))
    node = Node(
        units=SqlUnits(database, lambda connection: ContractEscrow(connection, proves=proves)),
        blobs=blobs,
        clock=clock,
        entropy=CountingEntropy(),
        key=key("coordinator"),
        log_key=key("log"),
        base_model=base_model,
        limits=Limits(max_length_tokens=1024, max_lora_rank=64),
        tokenizer=WordTokenizer(),
        language_model=WordListModel(),
        inference=engine,
        adapters=adapters,
    )
    world = World(node, database, clock, engine, key("client"), key("provider"))
    for party in (world.client, world.provider, node.key):
        world.deposit(party)
    return world
