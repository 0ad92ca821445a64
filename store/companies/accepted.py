"""A person overrules the criteria for one company. Tables ``company_candidates`` and ``audit_events``.

Whom this may be done for is said in ``domain/company/acceptance.py``; who asks for it, in ``usecases/accept_company.py``.
"""

from uuid import UUID

from store.companies import companies
from store.companies.companies import CompanyRow
from store.database import Connection
from store.runs import audit
from store.runs.runs import RunRow


async def locked(conn: Connection, run_id: UUID, company_id: UUID) -> tuple[RunRow, CompanyRow]:
    """A run and one of its companies as they are now; neither changes until the end of the transaction.

    Raises:
        LookupError: there is no such run, or no such company in it.
    """
    # In this order, as a decision that is applied takes them. The run cannot be ended meanwhile.
    run = await (await conn.execute("SELECT * FROM runs WHERE run_id = %s FOR SHARE", (run_id,))).fetchone()
    await companies.lock_run(conn, run_id)
    company = await (
        await conn.execute(
            "SELECT * FROM company_candidates WHERE run_id = %s AND company_id = %s FOR UPDATE", (run_id, company_id)
        )
    ).fetchone()
    if run is None or company is None:
        raise LookupError(f"run {run_id} has no company {company_id}")
    return RunRow.model_validate(run), CompanyRow.model_validate(company)


async def accept(conn: Connection, company: CompanyRow, accepted_by: str, note: str) -> None:
    """Mark a company as accepted, put it back to be worked on, and record who said so and why.

    It gets a new sequence number, so that a run that has read past it finds it again. The caller holds the locks (``locked``).
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
