"""Writing a run's two files to a directory: both or neither."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from activities.export import render_run
from client.process import UserError
from domain.csv_files import CsvFile
from domain.progress import RunStatus
from store import export_rows
from store.database import Connection
from store.runs import RunRow


class WrittenFiles(BaseModel):
    """Where the files are and what is in them; ``partial``: less than was asked for, or the run may still change."""

    model_config = ConfigDict(frozen=True)

    companies_csv: Path
    contacts_csv: Path
    companies: int
    contacts: int
    partial: bool


async def export_files(conn: Connection, run: RunRow, directory: Path) -> WrittenFiles:
    """Write a run's files: those kept with a completed run, else what is complete now. Changes nothing in the database.

    Raises:
        UserError: the directory cannot be written to; neither file is there then.
    """
    companies_file, contacts_file, partial = await rendered_files(conn, run)
    write_both(directory, companies_file, contacts_file)
    return WrittenFiles(
        companies_csv=directory / companies_file.name,
        contacts_csv=directory / contacts_file.name,
        companies=companies_file.rows,
        contacts=contacts_file.rows,
        partial=partial,
    )


async def rendered_files(conn: Connection, run: RunRow) -> tuple[CsvFile, CsvFile, bool]:
    """Both files of a run as they would be written, and whether they are partial."""
    async with conn.transaction():
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if run.status is RunStatus.COMPLETED:
            kept_companies = await export_rows.load_artifact(conn, run.run_id, "companies")
            kept_contacts = await export_rows.load_artifact(conn, run.run_id, "contacts")
            if kept_companies is not None and kept_contacts is not None:
                return kept_companies[0], kept_contacts[0], kept_companies[1]
        return await render_run(conn, run, datetime.now(UTC))


def write_both(directory: Path, *files: CsvFile) -> None:
    """Write files under temporary names, then give all of them their names; on an error none is left.

    Raises:
        UserError: the directory cannot be written to.
    """
    suffix = f".{uuid4().hex[:8]}.part"
    targets = [directory / file.name for file in files]
    parts = [target.with_name(target.name + suffix) for target in targets]
    named: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file, part in zip(files, parts, strict=True):
            part.write_bytes(file.content)
        for part, target in zip(parts, targets, strict=True):
            part.replace(target)
            named.append(target)
    except OSError as error:
        for path in (*parts, *named):
            path.unlink(missing_ok=True)
        raise UserError(f"the files cannot be written to {directory}: {error.strerror}") from error
