"""Companies that were complete, which their run counts, and may not be delivered after all. Table ``audit_events``.

Each is told to its run once: by the check that took it out, or that found it forgotten, however often that check is run again.
"""

from uuid import UUID

from domain.activity_io import WithdrawnCompany
from domain.company.status import ReasonCode
from store.database import Connection
from store.runs import audit


async def record(conn: Connection, run_id: UUID, company_id: UUID, check: str) -> None:
    """Note that a check takes a company out, in the transaction that ends it.

    Args:
        check: what the check is known by, the same when it is run again.
    """
    key = f"{company_id}/{check}"
    detail = {"check": check}
    await audit.record(conn, run_id, "company_withdrawn", key, company_id=company_id, detail=detail)


async def list_forgotten_since(conn: Connection, run_id: UUID) -> list[UUID]:
    """Companies that were complete when they were forgotten, and that no check has told the run of yet."""
    cursor = await conn.execute(
        """
        SELECT company_id FROM audit_events f
        WHERE run_id = %s AND event = 'company_forgotten' AND detail->>'was' = 'complete'
          AND NOT EXISTS (SELECT 1 FROM audit_events t
                          WHERE t.run_id = f.run_id AND t.company_id = f.company_id AND t.event = 'company_withdrawn'
                            AND t.event_id > f.event_id)  -- it may have come back and been complete in between
        ORDER BY event_id
        """,
        (run_id,),
    )
    return [row["company_id"] for row in await cursor.fetchall()]


async def list_withdrawn(conn: Connection, run_id: UUID, check: str) -> list[WithdrawnCompany]:
    """Every company that a check has taken out, in the order of the selection."""
    cursor = await conn.execute(
        """
        SELECT c.company_id, c.position, coalesce(c.reason, %s) AS reason FROM audit_events t JOIN company_candidates c USING (company_id)
        WHERE t.run_id = %s AND t.event = 'company_withdrawn' AND t.detail->>'check' = %s
        ORDER BY c.position, c.company_id
        """,
        (ReasonCode.SUPPRESSED, run_id, check),
    )
    return [WithdrawnCompany.model_validate(row) for row in await cursor.fetchall()]
