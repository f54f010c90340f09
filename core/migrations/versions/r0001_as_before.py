"""The tables as they were before their changes were kept as steps.

Records of any version before that are brought here: columns and indexes had only ever been added.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    inspect,
)

revision = "0001"
down_revision = None

_tables = MetaData()


def _key(name: str) -> Column[str]:
    return Column(name, String, primary_key=True)


def _text(name: str, default: str | None = None) -> Column[str]:
    return Column(name, String, nullable=False, server_default=default)


def _whole(name: str, default: str | None = None) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=default)


def _number(name: str) -> Column[float]:
    return Column(name, Float, nullable=False)


def _maybe(name: str) -> Column[float]:
    return Column(name, Float)


def _switch(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default="0")


def _json(name: str, default: str | None = None) -> Column[object]:
    return Column(name, JSON, nullable=False, server_default=default)


Table(
    "videos",
    _tables,
    _key("collection"),
    _key("id"),
    _text("title"),
    _text("video_url"),
    _text("path"),
    _maybe("duration"),
    Column("width", Integer),
    Column("height", Integer),
    _text("category"),
    _text("model"),
    _json("segments"),
    _whole("row_count"),
    _number("added_at"),
    Column("segment_sec", Integer),
    Column("frame_rate", String),
    _text("sha256", ""),
    _maybe("recorded_at"),
    _switch("removing"),
)
Table("returned", _tables, _key("collection"), _key("video_id"), _number("first_at"))
Table(
    "jobs",
    _tables,
    _key("id"),
    _text("collection"),
    _whole("position"),
    _text("source"),
    _text("title"),
    _text("category"),
    _text("stage"),
    _maybe("fraction"),
    _whole("attempts"),
    _text("error"),
    _text("hint"),
    _text("video_id"),
    _json("checkpoint"),
    _number("created_at"),
    _maybe("started_at"),
    _maybe("finished_at"),
    _text("run", ""),
    _maybe("max_cost"),
    _whole("priority", "0"),
    _maybe("minutes"),
    _text("note", ""),
    _text("held", ""),
    _switch("must_confirm"),
    _text("cancel_asked", ""),
    _maybe("stage_since"),
    _json("stage_seconds", "{}"),
    Index("jobs_by_stage", "collection", "stage", "created_at", "started_at"),
    Index("jobs_by_end", "collection", "finished_at", "started_at"),
)
Table(
    "ledger",
    _tables,
    _key("id"),
    _text("collection"),
    _number("at"),
    _text("kind"),
    _text("what"),
    _maybe("minutes"),
    _whole("calls"),
    _maybe("price"),
    _text("model"),
    Column("saved", Boolean, nullable=False),
    _text("job_id"),
    _text("run"),
    _text("task_id"),
    _text("video_id"),
    _whole("segment_sec"),
    _json("resume"),
    Index("ix_ledger_collection", "collection"),
    Index("ix_ledger_at", "at"),
    Index("ix_ledger_job_id", "job_id"),
    Index("ix_ledger_video_id", "video_id"),
)
Table(
    "query_vectors",
    _tables,
    _key("collection"),
    _key("key"),
    Column("vector", LargeBinary, nullable=False),
    _number("added_at"),
    Index("ix_query_vectors_added_at", "added_at"),
)
Table(
    "searches",
    _tables,
    _key("collection"),
    _key("id"),
    _text("recipe"),
    _text("filters"),
    _text("name"),
    _number("used_at"),
    Index("ix_searches_used_at", "used_at"),
)
Table(
    "basket",
    _tables,
    _key("collection"),
    _key("id"),
    _whole("position"),
    _text("finding"),
    _text("note"),
    _json("tags"),
    _number("added_at"),
    Index("ix_basket_position", "position"),
)
Table("exports", _tables, _key("collection"), _key("id"), _number("at"))
Table("preferences", _tables, _key("collection"), _key("name"), _text("value"))


def upgrade() -> None:
    connection = op.get_bind()
    found = inspect(connection)
    names = set(found.get_table_names())
    for table in _tables.sorted_tables:
        if table.name not in names:
            table.create(connection)
            continue
        there = {column["name"] for column in found.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                op.add_column(table.name, column)
        for index in table.indexes:
            index.create(connection, checkfirst=True)
