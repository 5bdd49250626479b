"""Tables of the coordinator's database. Money has its own tables, in `node.settlement`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData()

Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself in an INTEGER only

data_sets = Table(
    "data_sets",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("digest", String(71), primary_key=True),
    Column("rows", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("longest_row_tokens", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Index("data_sets_by_digest", "digest"),
    Index("data_sets_by_owner", "owner", "created_at_ms", "digest"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("client", String(64), nullable=False),
    Column("provider", String(64)),
    Column("arbiter", String(64)),
    Column("data_set", String(71), nullable=False, index=True),
    Column("base_model", String(71), nullable=False),
    Column("price_minor_per_1000_tokens", BigInteger, nullable=False),
    Column("deadlines", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger),
    Column("outcome", String(16)),
    ForeignKeyConstraint(["client", "data_set"], ["data_sets.owner", "data_sets.digest"], name="jobs_over_own_data"),
    Index("jobs_by_state", "state", "number"),
    Index("jobs_by_due", "due_at_ms"),
    Index("jobs_by_client", "client", "number"),
    Index("jobs_by_client_and_state", "client", "state", "number"),
    Index("jobs_by_provider", "provider", "number"),
    Index("jobs_by_provider_and_state", "provider", "state", "number", "outcome"),
    Index("jobs_by_arbiter", "arbiter", "number"),
    Index("jobs_by_arbiter_and_state", "arbiter", "state", "number"),
)

leases = Table(
    "leases",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("fence", Integer, primary_key=True, autoincrement=False),
    Column("provider", String(64), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Index("leases_by_provider", "provider", "until_ms"),
)

claims = Table(
    "claims",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("fence", Integer, nullable=False),
    Column("worker", String, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

nonces = Table(
    "nonces",
    metadata,
    Column("signer", String(64), primary_key=True),
    Column("nonce", String(64), primary_key=True),
    Column("expires_at_ms", BigInteger, nullable=False),
    Index("nonces_by_expiry", "expires_at_ms"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("argument", String, nullable=False),
    Column("not_before_ms", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),
    Index("outbox_by_due", "not_before_ms", "id"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("digest", String(71), primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("received_bytes", BigInteger, nullable=False),
    Column("complete", Boolean, nullable=False),
    Index("uploads_by_digest", "digest"),
    Index("uploads_by_expiry", "expires_at_ms"),
)

providers = Table(
    "providers",
    metadata,
    Column("key_id", String(64), primary_key=True),
    Column("name", String, nullable=False),
    Column("capabilities", String, nullable=False),
    Column("registered_at_ms", BigInteger, nullable=False),
    Column("last_seen_ms", BigInteger, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
    Column("log_index", Integer, nullable=False, unique=True),
)

log_nodes = Table(
    "log_nodes",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("manifest", LargeBinary, nullable=False),
    Column("training_data", String(71), nullable=False, index=True),
)

files = Table(
    "files",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("digest", String(71), nullable=False, index=True),
)

epoch_checkpoints = Table(
    "epoch_checkpoints",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(71), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("activation", LargeBinary),
)

events = Table(
    "events",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    Column("job", String(64), ForeignKey("jobs.id"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("message", String, nullable=False),
    Column("progress", String),
    UniqueConstraint("job", "sequence", name="events_in_order"),
)
