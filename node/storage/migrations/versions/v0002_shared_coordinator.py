"""For a coordinator that many parties and several processes share.

Data sets have owners, leases have fences, events are numbered over all jobs, jobs are found by party, the log keeps
the hashes of its subtrees in place of its leaves. New: claims, nonces, outbox, providers, uploads.

A data set that no job was ever made of has no owner to tell; it is forgotten, and may be uploaded again.
Of the others nobody knows any more when they came or how long their longest row is: their first job's time, and 0.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_metadata = sa.MetaData()

_Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_jobs_as_referred_to = sa.Table("jobs", _metadata, sa.Column("id", sa.String(64), primary_key=True))

_data_sets = sa.Table(
    "data_sets",
    _metadata,
    sa.Column("owner", sa.String(64), primary_key=True),
    sa.Column("digest", sa.String(71), primary_key=True),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("longest_row_tokens", sa.Integer, nullable=False),
    sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    sa.Index("data_sets_by_digest", "digest"),
    sa.Index("data_sets_by_owner", "owner", "created_at_ms", "digest"),
)

_leases = sa.Table(
    "leases",
    _metadata,
    sa.Column("job", sa.String(64), sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("fence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("provider", sa.String(64), nullable=False),
    sa.Column("until_ms", sa.BigInteger, nullable=False),
    sa.Index("leases_by_provider", "provider", "until_ms"),
)

_claims = sa.Table(
    "claims",
    _metadata,
    sa.Column("job", sa.String(64), sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("worker", sa.String, nullable=False),
    sa.Column("until_ms", sa.BigInteger, nullable=False),
)

_nonces = sa.Table(
    "nonces",
    _metadata,
    sa.Column("signer", sa.String(64), primary_key=True),
    sa.Column("nonce", sa.String(64), primary_key=True),
    sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
    sa.Index("nonces_by_expiry", "expires_at_ms"),
)

_outbox = sa.Table(
    "outbox",
    _metadata,
    sa.Column("id", _Serial, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("argument", sa.String, nullable=False),
    sa.Column("not_before_ms", sa.BigInteger, nullable=False),
    sa.Index("outbox_by_due", "not_before_ms", "id"),
)

_uploads = sa.Table(
    "uploads",
    _metadata,
    sa.Column("owner", sa.String(64), primary_key=True),
    sa.Column("digest", sa.String(71), primary_key=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
    sa.Column("received_bytes", sa.BigInteger, nullable=False),
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Index("uploads_by_digest", "digest"),
    sa.Index("uploads_by_expiry", "expires_at_ms"),
)

_providers = sa.Table(
    "providers",
    _metadata,
    sa.Column("key_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("capabilities", sa.String, nullable=False),
    sa.Column("registered_at_ms", sa.BigInteger, nullable=False),
    sa.Column("last_seen_ms", sa.BigInteger, nullable=False),
)

_log_nodes = sa.Table(
    "log_nodes",
    _metadata,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)

_events = sa.Table(
    "events",
    _metadata,
    sa.Column("number", _Serial, primary_key=True, autoincrement=True),
    sa.Column("job", sa.String(64), sa.ForeignKey("jobs.id"), nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("time_ms", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("message", sa.String, nullable=False),
    sa.Column("progress", sa.String),
    sa.UniqueConstraint("job", "sequence", name="events_in_order"),
)

_jobs_without_foreign_key = sa.Table(
    "jobs",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("client", sa.String(64), nullable=False),
    sa.Column("provider", sa.String(64)),
    sa.Column("data_set", sa.String(71), nullable=False),
    sa.Column("base_model", sa.String(71), nullable=False),
    sa.Column("deadlines", sa.LargeBinary, nullable=False),
    sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    sa.Column("due_at_ms", sa.BigInteger),
    sa.Index("jobs_by_state", "state", "number"),
    sa.Index("jobs_by_due", "due_at_ms"),
    sa.Index("ix_jobs_data_set", "data_set"),
)

_REMADE = ("data_sets", "leases", "events")
_PORTION = 1000


def upgrade() -> None:
    for table in _REMADE:
        op.execute(f"CREATE TEMPORARY TABLE old_{table} AS SELECT * FROM {table}")  # noqa: S608
    if op.get_context().dialect.name == "postgresql":  # SQLite's copy of the table below leaves it out
        op.drop_constraint("jobs_data_set_fkey", "jobs")
    for table in _REMADE:
        op.drop_table(table)
    _metadata.create_all(op.get_bind())
    _fill_remade_tables()
    _widen_jobs()
    _hash_log(op.get_bind())
    op.create_index("ix_files_digest", "files", ["digest"])
    op.create_index("ix_secrets_training_data", "secrets", ["training_data"])
    for side in ("debit", "credit"):  # so that the newest transfers of an account are a walk along its index
        op.drop_index(f"escrow_transfers_{side}", "escrow_transfers")
        op.create_index(f"escrow_transfers_{side}", "escrow_transfers", [side, "seq"])
    for table in _REMADE:
        op.execute(f"DROP TABLE old_{table}")


def _fill_remade_tables() -> None:
    op.execute(
        "INSERT INTO data_sets (owner, digest, rows, size_bytes, tokens, longest_row_tokens, created_at_ms)"
        " SELECT jobs.client, old.digest, old.rows, old.size_bytes, old.tokens, 0, min(jobs.created_at_ms)"
        " FROM old_data_sets AS old JOIN jobs ON jobs.data_set = old.digest"
        " GROUP BY jobs.client, old.digest, old.rows, old.size_bytes, old.tokens"
    )
    op.execute("INSERT INTO leases (job, fence, provider, until_ms) SELECT job, 1, provider, until_ms FROM old_leases")
    op.execute(
        "INSERT INTO events (job, sequence, time_ms, state, message, progress)"
        " SELECT job, sequence, time_ms, state, message, progress FROM old_events ORDER BY time_ms, job, sequence"
    )


def _widen_jobs() -> None:
    with op.batch_alter_table("jobs", copy_from=_jobs_without_foreign_key) as jobs:
        jobs.add_column(sa.Column("arbiter", sa.String(64)))
        jobs.add_column(sa.Column("price_minor_per_1000_tokens", sa.BigInteger))
        jobs.add_column(sa.Column("outcome", sa.String(16)))
        jobs.create_foreign_key("jobs_over_own_data", "data_sets", ["client", "data_set"], ["owner", "digest"])
    for values in list(_said_of_jobs(op.get_bind())):
        op.get_bind().execute(
            sa.text(
                "UPDATE jobs SET arbiter = :arbiter, price_minor_per_1000_tokens = :price, outcome = :outcome"
                " WHERE id = :id"
            ),
            values,
        )
    with op.batch_alter_table("jobs") as jobs:
        jobs.alter_column("price_minor_per_1000_tokens", existing_type=sa.BigInteger, nullable=False)
        for party in ("client", "provider", "arbiter"):
            jobs.create_index(f"jobs_by_{party}", [party, "number"])
        jobs.create_index("jobs_by_client_and_state", ["client", "state", "number"])
        jobs.create_index("jobs_by_provider_and_state", ["provider", "state", "number", "outcome"])
        jobs.create_index("jobs_by_arbiter_and_state", ["arbiter", "state", "number"])


def _said_of_jobs(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    """What the offer of each job, and of a settled one the last message, says about it."""
    first_and_last = sa.text(
        "SELECT jobs.id, data_sets.tokens, first.envelope, last.envelope FROM jobs"
        " JOIN data_sets ON data_sets.digest = jobs.data_set AND data_sets.owner = jobs.client"
        " JOIN messages AS first ON first.job = jobs.id AND first.sequence = 0"
        " LEFT JOIN messages AS last ON jobs.state = 'settled' AND last.job = jobs.id AND last.sequence ="
        " (SELECT max(sequence) FROM messages WHERE messages.job = jobs.id)"
    )
    for job_id, tokens, first, last in connection.execute(first_and_last):
        offer, end = _payload(first), _payload(last) if last else {}
        trained = max(tokens * offer["training"]["epochs"], 1)
        yield {
            "id": job_id,
            "arbiter": offer["arbiter"],
            "price": 1000 * offer["money"]["price_minor"] // trained,
            "outcome": end.get("outcome"),
        }


def _payload(envelope: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    return content


def _hash_log(connection: sa.Connection) -> None:
    """Every complete subtree of the log (RFC 9162, section 2.1.1), from its leaves."""
    leaves = connection.execute(sa.text('SELECT leaf FROM log_leaves ORDER BY "index"')).scalars()
    nodes = _subtrees(leaves)
    while portion := [node for _, node in zip(range(_PORTION), nodes, strict=False)]:
        connection.execute(_log_nodes.insert(), portion)
    op.drop_table("log_leaves")


def _subtrees(leaves: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    open_roots: list[bytes] = []  # of the largest complete subtrees so far, one for each bit of the number of leaves
    for number, leaf in enumerate(leaves):
        level, index, root = 0, number, hashlib.sha256(b"\0" + leaf).digest()
        yield {"level": level, "index": index, "hash": root}
        while index & 1:
            level, index, root = level + 1, index >> 1, hashlib.sha256(b"\1" + open_roots.pop() + root).digest()
            yield {"level": level, "index": index, "hash": root}
        open_roots.append(root)
