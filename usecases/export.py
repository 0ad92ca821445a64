"""Write a run's files to a directory: all of them, or none on an error."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from activities.export import render_run, selected_companies
from domain.delivery.csv_files import CsvFile
from domain.delivery.evidence_cells import evidence_cells
from domain.delivery.rejected_rows import render_rejected
from domain.request.progress import RunStatus
from runtime.process import UserError
from store.database import Connection
from store.delivery import evidence as evidence_store
from store.delivery import export_rows
from store.runs.runs import RunRow


class WrittenFiles(BaseModel):
    """The files that were written, and their numbers of rows.

    Attributes:
        partial: less than was requested, or the run may still change.
        evidence_jsonl, rejected_csv: None unless requested. The JSON document then omits them.
    """

    model_config = ConfigDict(frozen=True)

    companies_csv: Path
    contacts_csv: Path
    companies: int
    contacts: int
    partial: bool
    evidence_jsonl: Path | None = Field(default=None, exclude_if=lambda path: path is None)
    rejected_csv: Path | None = Field(default=None, exclude_if=lambda path: path is None)


async def export_files(
    conn: Connection, run: RunRow, directory: Path, *, evidence: bool = False, rejected: bool = False
) -> WrittenFiles:
    """Write a run's files. An open run exports the companies that are complete now.

    Args:
        evidence: also write the evidence for each cell.
        rejected: also write the companies that are not delivered.

    Raises:
        UserError: the directory cannot be written to. Then no file is left.
    """
    evidence_file = rejected_file = None
    async with _snapshot(conn):
        companies_file, contacts_file, partial = await _rendered(conn, run)
        stamp = Path(companies_file.name).stem.removeprefix("companies_")  # all files of one export share it
        if evidence:
            loaded = await evidence_store.load_evidence(conn, await selected_companies(conn, run))
            lines = [f"{cell.model_dump_json()}\n" for company in loaded for cell in evidence_cells(company.record)]
            content = "".join(lines).encode("utf-8")
            evidence_file = CsvFile(name=f"evidence_{stamp}.jsonl", content=content, rows=len(lines))
        if rejected:
            companies = await evidence_store.rejected_companies(conn, run.run_id)
            rejected_file = render_rejected(f"rejected_{stamp}.csv", companies)
    write_files(directory, companies_file, contacts_file, *filter(None, (evidence_file, rejected_file)))
    return WrittenFiles(
        companies_csv=directory / companies_file.name,
        contacts_csv=directory / contacts_file.name,
        companies=companies_file.rows,
        contacts=contacts_file.rows,
        partial=partial,
        evidence_jsonl=directory / evidence_file.name if evidence_file else None,
        rejected_csv=directory / rejected_file.name if rejected_file else None,
    )


async def rendered_files(conn: Connection, run: RunRow) -> tuple[CsvFile, CsvFile, bool]:
    """Return both files of a run, and whether they are partial."""
    async with _snapshot(conn):
        return await _rendered(conn, run)


def write_files(directory: Path, *files: CsvFile) -> None:
    """Write files under temporary names, then rename them. An error leaves no file and raises UserError."""
    suffix = f".{uuid4().hex[:8]}.part"
    targets = [directory / file.name for file in files]
    parts = [target.with_name(target.name + suffix) for target in targets]
    begun: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file, part in zip(files, parts, strict=True):
            begun.append(part)
            part.write_bytes(file.content)
        for part, target in zip(parts, targets, strict=True):
            part.replace(target)
            begun.append(target)
    except OSError as error:
        for path in begun:
            path.unlink(missing_ok=True)
        raise UserError(f"the files cannot be written to {directory}: {error.strerror}") from error


@asynccontextmanager
async def _snapshot(conn: Connection) -> AsyncIterator[None]:
    # All queries must see the same moment, because the run may continue meanwhile.
    async with conn.transaction():
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


async def _rendered(conn: Connection, run: RunRow) -> tuple[CsvFile, CsvFile, bool]:
    if run.status is RunStatus.COMPLETED:
        stored_companies = await export_rows.load_artifact(conn, run.run_id, "companies")
        stored_contacts = await export_rows.load_artifact(conn, run.run_id, "contacts")
        if stored_companies is not None and stored_contacts is not None:
            return stored_companies[0], stored_contacts[0], stored_companies[1]
    return await render_run(conn, run, datetime.now(UTC))
