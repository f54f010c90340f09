"""Which app servers are alive: each renews its lease, and what it ran is free once that ends."""

from __future__ import annotations

import uuid

from sqlalchemy import ColumnElement, delete, func, or_, select

from core.database import Database, JobRow, ServerRow, upsert

# Seven looks of a server at the others: it has to be very busy, or gone, to miss them all.
LEASE_SEC = 15.0


class Lease:
    """That of this server, for the jobs of one collection.

    Where the records belong to one process there is nothing to renew: no other server is alive.
    """

    def __init__(self, database: Database, *, collection: str) -> None:
        self.server = uuid.uuid4().hex
        self.shared = database.shared
        self._database = database
        self._collection = collection

    def renew(self) -> int:
        """Makes it last LEASE_SEC from now. Says how many servers are alive, this one with them."""
        if not self.shared:
            return 1
        now = self._database.now()
        with self._database.session() as session:
            session.execute(delete(ServerRow).where(ServerRow.lease_until < now))
            upsert(
                session,
                ServerRow(id=self.server, collection=self._collection, lease_until=now + LEASE_SEC),
            )
            mine = ServerRow.collection == self._collection
            return session.scalar(select(func.count()).where(mine)) or 1

    def end(self) -> None:
        """What this server ran is free at once."""
        if not self.shared:
            return
        with self._database.session() as session:
            session.execute(delete(ServerRow).where(ServerRow.id == self.server))

    def runs(self) -> ColumnElement[bool]:
        """Whether the server that has a job is alive."""
        others = select(ServerRow.id).where(ServerRow.lease_until > self._database.now())
        return or_(JobRow.server == self.server, JobRow.server.in_(others))
