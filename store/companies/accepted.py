"""Accept a company that the criteria rejected. The rules are in ``domain/company/acceptance.py``."""

from uuid import UUID

from store.companies import companies
from store.companies.companies import CompanyRow
from store.database import Connection, fetch_model
from store.runs import audit
from store.runs.runs import RunRow


async def lock_run_and_company(conn: Connection, run_id: UUID, company_id: UUID) -> tuple[RunRow, CompanyRow]:
    """Lock a run and one of its companies until the transaction ends, and return both.

    Raises:
        LookupError: the run has no such company, or does not exist.
    """
    # Same lock order as an applied decision, to avoid a deadlock. The lock also keeps the run from ending.
    run = await fetch_model(conn, RunRow, "SELECT * FROM runs WHERE run_id = %s FOR SHARE", (run_id,))
    await companies.lock_run(conn, run_id)
    query = "SELECT * FROM company_candidates WHERE run_id = %s AND company_id = %s FOR UPDATE"
    company = await fetch_model(conn, CompanyRow, query, (run_id, company_id))
    if run is None or company is None:
        raise LookupError(f"run {run_id} has no company {company_id}")
    return run, company


async def accept(conn: Connection, company: CompanyRow, accepted_by: str, note: str) -> None:
    """Reopen a company as accepted, and record who accepted it and why. Requires ``lock_run_and_company``.

    A new sequence number makes the run read the company again.
    """
    await conn.execute(
        """
        UPDATE company_candidates
        SET accepted_by = %s, accepted_at = now(), status = 'found', reason = NULL, reason_detail = '', seq = DEFAULT,
            updated_at = now()
        WHERE company_id = %s
        """,
        (accepted_by, company.company_id),
    )
    await audit.record(
        conn,
        company.run_id,
        "company_accepted",
        str(company.company_id),
        company_id=company.company_id,
        actor=accepted_by,
        detail={"reason": company.reason, "detail": company.reason_detail, "note": note},
    )
