"""An effect counts how often it failed, so that it is not tried forever."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("failures", sa.Integer, nullable=False, server_default="0"))
