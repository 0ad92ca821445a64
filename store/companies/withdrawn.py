"""Complete companies that a run may not deliver after all. Table ``audit_events``.

A suppression check reports each withdrawn or forgotten company to its run once, even if the check is retried.
"""

from uuid import UUID

from domain.activity_io import WithdrawnCompany
from domain.company.status import ReasonCode
from store.database import Connection, fetch_column, fetch_models
from store.runs import audit


async def record(conn: Connection, run_id: UUID, company_id: UUID, check: str) -> None:
    """Record that a check withdrew a company, in the transaction that ends it. A retry uses the same ``check``."""
    key, detail = f"{company_id}/{check}", {"check": check}
    await audit.record(conn, run_id, "company_withdrawn", key, company_id=company_id, detail=detail)


async def list_forgotten_since(conn: Connection, run_id: UUID) -> list[UUID]:
    """Return forgotten companies that were complete and that no check has reported yet."""
    query = """
        SELECT company_id FROM audit_events f
        WHERE run_id = %s AND event = 'company_forgotten' AND detail->>'was' = 'complete'
          AND NOT EXISTS (SELECT 1 FROM audit_events w
                          WHERE w.run_id = f.run_id AND w.company_id = f.company_id AND w.event = 'company_withdrawn'
                            AND w.event_id > f.event_id)  -- ignore a withdrawal before the company was completed again
        ORDER BY event_id
    """
    return await fetch_column(conn, query, (run_id,))


async def list_withdrawn(conn: Connection, run_id: UUID, check: str) -> list[WithdrawnCompany]:
    query = """
        SELECT c.company_id, c.position, coalesce(c.reason, %s) AS reason
        FROM audit_events w JOIN company_candidates c USING (company_id)
        WHERE w.run_id = %s AND w.event = 'company_withdrawn' AND w.detail->>'check' = %s
        ORDER BY c.position, c.company_id
    """
    return await fetch_models(conn, WithdrawnCompany, query, (ReasonCode.SUPPRESSED, run_id, check))
