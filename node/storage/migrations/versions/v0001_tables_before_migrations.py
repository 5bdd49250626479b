"""The tables as they were before migrations. A database of that time has them already, and only joins the history."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

revision = "0001"
down_revision = None

metadata = MetaData()

_Serial = BigInteger().with_variant(Integer, "sqlite")

Table(
    "data_sets",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("rows", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)

Table(
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

Table(
    "leases",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("token_digest", String(71), nullable=False, unique=True),
    Column("provider", String(64), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

Table(
    "messages",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
    Column("log_index", Integer, nullable=False, unique=True),
)

Table(
    "log_leaves",
    metadata,
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
)

Table(
    "secrets",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("manifest", LargeBinary, nullable=False),
    Column("training_data", String(71), nullable=False),
)

Table(
    "files",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("digest", String(71), nullable=False),
)

Table(
    "events",
    metadata,
    Column("job", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("message", String, nullable=False),
    Column("progress", String),
)

Table(
    "escrow_transactions",
    metadata,
    Column("seq", _Serial, primary_key=True, autoincrement=True),
    Column("caller", String, nullable=False),
    Column("request_id", String, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("function", String, nullable=False),
    Column("job_id", String),
    Column("content", Text, nullable=False),
    Column("events", Text, nullable=False),
    UniqueConstraint("caller", "request_id", name="escrow_transactions_request"),
    Index("escrow_transactions_job", "job_id"),
)

Table(
    "escrow_transfers",
    metadata,
    Column("seq", _Serial, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("debit", String, nullable=False),
    Column("credit", String, nullable=False),
    Column("token", String, nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0"), nullable=False),
    Column("reason", String, nullable=False),
    Column("job_id", String),
    Column("time_ms", BigInteger, nullable=False),
    Column("caller", String, nullable=False),
    Column("request_id", String, nullable=False),
    Column("phase", String, nullable=False),
    Column("resolves", String),
    Index(
        "escrow_transfers_resolves",
        "resolves",
        unique=True,
        sqlite_where=text("resolves IS NOT NULL"),
        postgresql_where=text("resolves IS NOT NULL"),
    ),
    Index("escrow_transfers_debit", "debit"),
    Index("escrow_transfers_credit", "credit"),
    Index("escrow_transfers_job", "job_id"),
)

Table(
    "escrow_accounts",
    metadata,
    Column("account", String, primary_key=True),
    Column("token", String, primary_key=True),
    Column("debits_posted", BigInteger, nullable=False, default=0),
    Column("credits_posted", BigInteger, nullable=False, default=0),
    Column("debits_pending", BigInteger, nullable=False, default=0),
    Column("credits_pending", BigInteger, nullable=False, default=0),
    CheckConstraint(
        "account = 'external' OR credits_posted - debits_posted - debits_pending >= 0", name="escrow_accounts_solvent"
    ),
)

Table(
    "escrow_jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("terms", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("deadline_ms", BigInteger),
    Column("deliverable", String),
    Column("manifest", String),
    Column("verdict", String),
    Column("reason", String),
    Column("challenger", String),
    Column("ending", String),
)

Table(
    "escrow_holds",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("client", String, nullable=False),
    Column("token", String, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("transfer_id", String, nullable=False),
    Column("state", String, nullable=False),
)


def upgrade() -> None:
    metadata.create_all(op.get_bind())
