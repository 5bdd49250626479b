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
from fakes.entropy import CountingEntropy
from fakes.inference import LearningEngine
from fakes.language_model import WordListModel
from fakes.tokenizer import WordTokenizer
from sqlalchemy import Engine, text

from node.core import dataset
from node.core.adapter import adapter_digest
from node.core.job import Deadlines, Job, State
from node.core.messages import AdapterCommit, Chain, DataReceipt, Link, Message, Money, Offer, Terms, seal
from node.core.policy import Drawing, Placement, Policy
from node.core.receipt import Trust
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.digest import Digest, digest
from node.crypto.signing import Envelope, PrivateKey
from node.ports.escrow import EscrowCall
from node.settlement import schema as money_schema
from node.settlement.escrow import ContractEscrow
from node.storage.blobs import FolderBlobs
from node.storage.database import SqlUnitOfWork, open_engine
from node.workflow import deliver, dispatch, prepare, record, reveal, settle, submit, verify
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
    pairs_decide=False,
    least_isolation_cost_percent=0,
)
MONEY = Money()
DEADLINES = Deadlines()


def key(name: str) -> PrivateKey:
    """The same key for the same name, always."""
    return PrivateKey.from_seed(digest("test-key", name.encode()).raw)


@dataclass(slots=True)
class World:
    """One node and its counterparts. `token` is the provider's lease once it has one."""

    node: Node
    database: Engine
    clock: FakeClock
    engine: LearningEngine
    client: PrivateKey
    provider: PrivateKey
    token: bytes = b""

    # Looking

    def job(self, job_id: str = JOB) -> Job:
        with self.node.units() as unit:
            return unit.jobs.get(job_id)

    def chain(self, job_id: str = JOB) -> Chain:
        with self.node.units() as unit:
            return record.chain_of(self.node, unit, job_id)

    def balances(self) -> dict[str, int]:
        """What each account holds, what is on hold included; `external` carries the sum with its sign turned."""
        with self.node.units() as unit:
            return {account.account: account.balance_minor for account in unit.escrow.accounts()}

    def available(self, party: PrivateKey) -> int:
        with self.node.units() as unit:
            return unit.escrow.account(f"party:{party.public.key_id}", "CREDIT").available_minor

    def told(self, job_id: str = JOB) -> list[str]:
        with self.node.units() as unit:
            return [event.message for event in unit.events.after(job_id, 0)]

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        with self.database.connect() as connection:
            tables = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"))
            return {
                name: [tuple(row) for row in connection.execute(text(f"SELECT * FROM {name}"))]  # noqa: S608
                for name in tables.scalars().all()
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
        stored = submit.upload_data_set(self.node, dataset.to_jsonl(rows))
        offer = Offer(
            link=Link(job_id, 0, None),
            client_key_hex=self.client.public.hex,
            coordinator=self.node.key.public.key_id,
            arbiter=None,
            base_model=self.node.base_model,
            dataset=stored.digest,
            training=TrainingSpec(),
            policy=POLICY,
            money=MONEY,
            deadlines=DEADLINES,
        )
        return replace(offer, **changes)

    def create(self, offer: Offer | None = None) -> Job:
        return submit.create_job(self.node, seal(offer or self.offer(), self.client))

    def lease(self) -> dispatch.Leased:
        leased = dispatch.lease_job(self.node, self.provider.public, [self.node.base_model])
        assert leased is not None
        self.token = leased.token
        return leased

    def post(self, message: Message, key: PrivateKey | None = None) -> Envelope:
        envelope = seal(message, key or self.provider)
        deliver.post_message(self.node, self.token, envelope)
        return envelope

    def countersign(self) -> None:
        if not self.token:
            self.lease()
        self.post(Terms(self.chain().next_link(), self.provider.public.hex))

    def rows_received(self) -> tuple[Row, ...]:
        return dataset.parse(deliver.training_data(self.node, self.token)[1])

    def receive(self) -> None:
        self.post(DataReceipt(self.chain().next_link(), self.chain().messages[1].data_root))

    def commit_adapter(self, files: Mapping[str, bytes]) -> None:
        self.post(AdapterCommit(self.chain().next_link(), adapter_digest(files)))

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
            State.UPLOADED: lambda: deliver.upload_adapter(
                self.node, self.token, files or adapter_files(self.training_rows())
            ),
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
        with self.node.units() as unit:
            return dataset.parse(self.node.blobs.get(unit.secrets.training_data(JOB)))


def build(folder: Path, *, base_model: Digest = BASE_MODEL) -> World:
    """A funded world in `folder`, no job in it yet."""
    database = open_engine(f"sqlite:///{folder / 'node.sqlite'}")
    money_schema.metadata.create_all(database)
    clock, engine = FakeClock(), LearningEngine(base_model)
    node = Node(
        units=lambda: SqlUnitOfWork(database, ContractEscrow),
        blobs=FolderBlobs(folder / "blobs"),
        clock=clock,
        entropy=CountingEntropy(),
        key=key("coordinator"),
        log_key=key("log"),
        base_model=base_model,
        limits=Limits(max_length_tokens=1024, max_lora_rank=64),
        tokenizer=WordTokenizer(),
        language_model=WordListModel(),
        inference=engine,
        adapters=FakeAdapters(folder / "adapters"),
    )
    world = World(node, database, clock, engine, key("client"), key("provider"))
    for party in (world.client, world.provider, node.key):
        world.deposit(party)
    return world
