"""Tables of the coordinator's database. Money has its own tables, in `node.settlement`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

metadata = MetaData()

data_sets = Table(
    "data_sets",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("rows", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("client", String(64), nullable=False),
    Column("provider", String(64)),
    Column("data_set", String(71), ForeignKey("data_sets.digest"), nullable=False, index=True),
    Column("base_model", String(71), nullable=False),
    Column("deadlines", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger),
    Index("jobs_by_state", "state", "number"),
    Index("jobs_by_due", "due_at_ms"),
)

leases = Table(
    "leases",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("token_digest", String(71), nullable=False, unique=True),
    Column("provider", String(64), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
    Column("log_index", Integer, nullable=False, unique=True),
)

log_leaves = Table(
    "log_leaves",
    metadata,
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("manifest", LargeBinary, nullable=False),
    Column("training_data", String(71), nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("digest", String(71), nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("message", String, nullable=False),
    Column("progress", String),
)
