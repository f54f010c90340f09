"""The steps that bring records of an earlier version up to date, kept as Alembic revisions.

A change of the tables in `core/database.py` needs a file in `versions/` and its number in HEAD.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from core.errors import ConfigurationError

HEAD = "0002"


def upgrade(connection: Connection) -> None:
    """Takes every step that these records lack, within the connection's transaction.

    Raises:
        ConfigurationError: the records are of a later version than this.
    """
    # Only here: records are nearly always up to date, and to import it takes as long as all of SQL.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    # In its options "%" begins a name.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigurationError(
            "The app's own records were written by a later version of Seekpoint.",
            "Update Seekpoint here too, or set DATABASE_URL to other records.",
        ) from error
