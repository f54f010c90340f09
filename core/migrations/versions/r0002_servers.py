"""Several app servers: who runs a job, what has changed since when, and who did what."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Float, Integer, String

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "servers",
        Column("id", String, primary_key=True),
        Column("collection", String, nullable=False),
        Column("lease_until", Float, nullable=False),
    )
    op.create_table(
        "revisions",
        Column("collection", String, primary_key=True),
        Column("number", Integer, nullable=False),
    )
    op.add_column("jobs", Column("server", String, nullable=False, server_default=""))
    op.add_column("jobs", Column("has_video", Boolean, nullable=False, server_default="0"))
    op.add_column("videos", Column("revision", Integer, nullable=False, server_default="0"))
    op.create_table(
        "audit",
        Column("id", Integer, primary_key=True),
        Column("at", Float, nullable=False),
        Column("user", String, nullable=False),
        Column("role", String, nullable=False),
        Column("action", String, nullable=False),
        Column("subject", String, nullable=False),
        Column("detail", String, nullable=False),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
