"""The audit trail: what happened to a run, who caused it. Table ``audit_events``."""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from store.database import Connection


async def record(
    conn: Connection,
    run_id: UUID,
    event: str,
    event_key: str,
    *,
    company_id: UUID | None = None,
    actor: str = "pipeline",
    detail: dict[str, Any] | None = None,
) -> None:
    """Record an event (past tense, such as ``company_suppressed``).

    Args:
        event_key: what makes it this event; the same event recorded twice, as by a retried activity, stays one.
        detail: JSON values only.
    """
    await conn.execute(
        """
        INSERT INTO audit_events (event_key, run_id, company_id, event, actor, detail)
        VALUES (%s, %s, %s, %s, %s, %s)
        ON CONFLICT (event_key) DO NOTHING
        """,
        (f"{run_id}/{event}/{event_key}", run_id, company_id, event, actor, Jsonb(detail or {})),
    )


async def list_events(conn: Connection, run_id: UUID) -> list[dict[str, Any]]:
    """A run's events, oldest first."""
    cursor = await conn.execute(
        "SELECT event, actor, company_id, detail, created_at FROM audit_events WHERE run_id = %s ORDER BY event_id",
        (run_id,),
    )
    return [dict(row) for row in await cursor.fetchall()]
