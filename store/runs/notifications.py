"""Notifications that were sent, one per state change of a run. Table ``notifications``."""

from uuid import UUID

from store.database import Connection, fetch_value


async def lock(conn: Connection, run_id: UUID, state_key: str) -> None:
    """Lock this notification until the transaction ends, so that only one transaction sends it."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"notify {run_id} {state_key}",))


async def was_sent(conn: Connection, run_id: UUID, state_key: str) -> bool:
    query = "SELECT 1 FROM notifications WHERE run_id = %s AND state_key = %s"
    return await fetch_value(conn, query, (run_id, state_key)) is not None


async def mark_sent(conn: Connection, run_id: UUID, state_key: str) -> None:
    await conn.execute(
        "INSERT INTO notifications (run_id, state_key) VALUES (%s, %s) ON CONFLICT DO NOTHING", (run_id, state_key)
    )
