"""Which changes of state a requester has been told of. Table ``notifications``."""

from uuid import UUID

from store.database import Connection


async def lock(conn: Connection, run_id: UUID, state_key: str) -> None:
    """Wait until nobody else is telling of this change; nobody else does until the end of the transaction."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"notify {run_id} {state_key}",))


async def was_sent(conn: Connection, run_id: UUID, state_key: str) -> bool:
    """Whether the requester has been told of this change."""
    cursor = await conn.execute("SELECT 1 FROM notifications WHERE run_id = %s AND state_key = %s", (run_id, state_key))
    return await cursor.fetchone() is not None


async def mark_sent(conn: Connection, run_id: UUID, state_key: str) -> None:
    """Remember that the requester has been told of this change."""
    await conn.execute(
        "INSERT INTO notifications (run_id, state_key) VALUES (%s, %s) ON CONFLICT DO NOTHING", (run_id, state_key)
    )
