"""Providers say what they work for at least; of those that said nothing yet, 0.

They say it in one JSON document with the rest, whose reader knows no missing fields.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_providers = sa.Table(
    "providers",
    sa.MetaData(),
    sa.Column("key_id", sa.String(64), primary_key=True),
    sa.Column("capabilities", sa.String),
)


def upgrade() -> None:
    connection, saying = op.get_bind(), _providers.c.capabilities
    for key_id, said in connection.execute(sa.select(_providers.c.key_id, saying)).all():
        whole = {**json.loads(said), "least_price_minor_per_1000_tokens": 0}
        spelt = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        connection.execute(_providers.update().where(_providers.c.key_id == key_id).values(capabilities=spelt))
