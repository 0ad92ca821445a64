"""The audit trail: what happened to a run, and who caused it. Table ``audit_events``."""

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from store.database import Connection, fetch_models


class RefusedAnswer(BaseModel):
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
    """Record an event. Its name is in the past tense, such as ``company_suppressed``.

    Args:
        event_key: identifies the event, so that a retry stores it once.
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


async def refused_answers(conn: Connection, run_id: UUID, limit: int) -> list[RefusedAnswer]:
    """Return a run's refused answers, newest first."""
    query = """
        SELECT created_at AS at, detail->>'decision_id' AS decision_id, detail->>'problem' AS problem FROM audit_events
        WHERE run_id = %s AND event = 'decision_refused' ORDER BY event_id DESC LIMIT %s
    """
    return await fetch_models(conn, RefusedAnswer, query, (run_id, limit))
