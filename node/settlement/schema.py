"""The escrow's tables. History (`transactions`, `transfers`) only grows; the other tables are where it stands.

Knows nothing of the contract's rules, except the two worth a second lock: no account but `external` below zero,
and a pending transfer resolved once. The tables themselves are made by the migrations in `node.storage`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

_Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself in an INTEGER only

transactions = Table(
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

transfers = Table(
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
    Index("escrow_transfers_debit", "debit", "seq"),
    Index("escrow_transfers_credit", "credit", "seq"),
    Index("escrow_transfers_job", "job_id"),
)

accounts = Table(
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

jobs = Table(
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

holds = Table(
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
