"""The canary row: inserted to see it arrive, and taken away again. It has no position, so no reader takes it for an event."""

from __future__ import annotations

from psycopg import sql

from migctl.schema.connection import Connection
from migctl.schema.files import EVENTS

EVENT_TYPE = "sys.canary"
SOURCE = "migctl"
# A run that was killed leaves its row; a younger one may belong to somebody who is just looking.
_LEFT_BEHIND = "10 minutes"


async def remove(connection: Connection, schema: str, row_id: str) -> int:
    """Delete the row with this id, and those that killed runs left; how many were deleted."""
    there = await connection.execute(
        "select 1 from pg_catalog.pg_tables where schemaname = %s and tablename = %s", [schema, EVENTS]
    )
    if await there.fetchone() is None:
        return 0
    cursor = await connection.execute(
        sql.SQL(
            "delete from {} where epoch is null and seq is null and event_type = %s and source = %s"
            " and (id = %s or created_at < now() - %s::interval)"
        ).format(sql.Identifier(schema, EVENTS)),
        [EVENT_TYPE, SOURCE, row_id, _LEFT_BEHIND],
    )
    return cursor.rowcount
