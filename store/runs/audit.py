"""The audit trail: what happened to a run, who caused it. Table ``audit_events``."""

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from store.database import Connection


class RefusedAnswer(BaseModel):
    """An answer that a run did not take: when it came, the question that it named, and why it was refused."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    decision_id: str | None
    problem: str


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


async def refused_answers(conn: Connection, run_id: UUID, limit: int) -> list[RefusedAnswer]:
    """The newest answers that a run has refused, newest first."""
    cursor = await conn.execute(
        """
        SELECT created_at AS at, detail->>'decision_id' AS decision_id, detail->>'problem' AS problem FROM audit_events
        WHERE run_id = %s AND event = 'decision_refused' ORDER BY event_id DESC LIMIT %s
        """,
        (run_id, limit),
    )
    return [RefusedAnswer.model_validate(row) for row in await cursor.fetchall()]
