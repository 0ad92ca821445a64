"""Which changes of state the requester was notified of. Table ``notifications``."""

from uuid import UUID

from store.database import Connection, fetch_value


async def lock(conn: Connection, run_id: UUID, state_key: str) -> None:
    """Wait until nobody else sends this notification; nobody starts to until the end of the transaction."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"notify {run_id} {state_key}",))


async def was_sent(conn: Connection, run_id: UUID, state_key: str) -> bool:
    """Whether the notification was sent."""
    query = "SELECT 1 FROM notifications WHERE run_id = %s AND state_key = %s"
    return await fetch_value(conn, query, (run_id, state_key)) is not None


async def mark_sent(conn: Connection, run_id: UUID, state_key: str) -> None:
    """Remember that the notification was sent."""
    await conn.execute(
        "INSERT INTO notifications (run_id, state_key) VALUES (%s, %s) ON CONFLICT DO NOTHING", (run_id, state_key)
    )
