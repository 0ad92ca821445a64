"""Render a run's two files and store them in the database."""

from datetime import datetime
from uuid import UUID

import structlog
from temporalio import activity

from domain.activity_io import ExportResult, RunInput
from domain.delivery.csv_files import CsvFile, render_files
from domain.request.progress import RunStatus
from store.companies import companies
from store.database import Connection, Database
from store.delivery import export_rows
from store.runs import runs
from store.runs.runs import RunRow

log = structlog.get_logger()


async def selected_companies(conn: Connection, run: RunRow) -> list[UUID]:
    """Return the run's final selection, or the first complete companies while it is running."""
    if run.selected is not None:
        return list(run.selected)
    return await companies.complete_in_order(conn, run.run_id, run.target_quantity)


async def render_run(conn: Connection, run: RunRow, at: datetime) -> tuple[CsvFile, CsvFile, bool]:
    """Render both files of a run. The flag says whether they are partial: too few companies, or not completed.

    The transaction must be ``REPEATABLE READ``, so that no contact appears without its company.

    Raises:
        LookupError: a selected company has no research.
    """
    ids = await selected_companies(conn, run)
    company_rows = await export_rows.company_rows(conn, ids)
    contact_rows = await export_rows.contact_rows(conn, ids)
    companies_file, contacts_file = render_files(run.run_id, at, company_rows, contact_rows)
    is_partial = run.status is not RunStatus.COMPLETED or len(ids) < run.target_quantity
    return companies_file, contacts_file, is_partial


class ExportActivities:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def export_run(self, params: RunInput) -> ExportResult:
        """Store both files in one transaction. A second run gives the same rows."""
        async with self._database.transaction() as conn:
            await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            run = await runs.get_run(conn, params.request.run_id)
            companies_file, contacts_file, partial = await render_run(conn, run, run.finished_at or run.updated_at)
            await export_rows.save_artifact(conn, run.run_id, "companies", companies_file, partial=partial)
            await export_rows.save_artifact(conn, run.run_id, "contacts", contacts_file, partial=partial)
        log.info("run_exported", companies=companies_file.rows, contacts=contacts_file.rows, partial=partial)
        return ExportResult(
            companies_file=companies_file.name,
            contacts_file=contacts_file.name,
            companies=companies_file.rows,
            contacts=contacts_file.rows,
            partial=partial,
        )
