"""Import a file of suppressions, customers or seeds into the database: the whole file or nothing.

The file is streamed twice, for its encoding and for its rows, so a file of any size needs little memory.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from psycopg import Rollback
from pydantic import BaseModel, ConfigDict, Field

from domain.company.suppression import SuppressionReason
from domain.delivery.columns import COMPANY_COLUMNS, CONTACT_COLUMNS
from domain.imports.columns import COLUMNS, ImportFileError, ImportKind
from domain.imports.rows import RowError, Seed, SuppressionChange, customer_row, seed_row, suppression_row
from domain.imports.table import BadRow, Row, Table, open_table
from pms.accounts import find_account, is_account_host, portal_address
from runtime.process import UserError
from store.companies import suppressions, vendor_accounts
from store.companies.imported import ImportCounts
from store.database import Connection

_BAD_SHOWN_MAX = 20  # of a refused file: enough to see what is wrong
_BAD_LISTED_MAX = 1000  # of a file imported without them: somebody checks them one by one
_NOBODY_REMOVED = (
    "bad rows are skipped, and one of them may hold a customer whom another row marks as left: no customer is removed. "
    "Fix the bad rows and import the whole file to remove them"
)
_LISTED_AS_CONTACTED = (
    "this file was delivered by a run: its companies are listed as contacted, without a date, so they are never "
    "delivered again. To allow them again after SUPPRESSION_CONTACTED_DAYS, import it with --map contacted_at=created_at"
)
_LISTED_FOR_A_TIME = "this file was delivered by a run: its companies are listed as contacted on the given dates"

RowT = TypeVar("RowT", SuppressionChange, Seed)


class BadRowShown(BaseModel):
    """A row that cannot be imported."""

    model_config = ConfigDict(frozen=True)

    line: int
    problem: str


class ImportReport(BaseModel):
    """What a file holds, and what became of it.

    Attributes:
        columns: imported column → the headers it is read from; ``unused_columns`` are headers that nothing reads.
        rows: all rows that are not empty. ``bad`` rows cannot be imported; ``not_listed`` rows list nobody (a box that is
            not ticked, a customer who has left).
        counts: what became of the companies, or would have if nothing was imported.
        notices: what was guessed, and what was left undone.
        refusal: why nothing was imported, or would be; None if the file is fine.
    """

    model_config = ConfigDict(frozen=True)

    kind: ImportKind
    file: str
    encoding: str
    delimiter: str
    columns: dict[str, tuple[str, ...]]
    unused_columns: tuple[str, ...]
    rows: int
    bad: int
    not_listed: int
    counts: ImportCounts
    bad_rows: tuple[BadRowShown, ...]
    dry_run: bool
    imported: bool
    notices: tuple[str, ...]
    skip_bad_rows: bool = Field(exclude=True)

    @property
    def refusal(self) -> str | None:
        if self.bad == 0 or (self.skip_bad_rows and self.bad < self.rows):
            return None
        if self.bad == self.rows:
            which = "the only row of {} is" if self.rows == 1 else f"all {self.rows:,} rows of {{}} are"
            return f"{which.format(self.file)} bad: nothing is imported"
        are, them = ("is", "it") if self.bad == 1 else ("are", "them")
        return (
            f"{self.bad:,} of {self.rows:,} rows {are} bad, so nothing {'would be' if self.dry_run else 'was'} imported: "
            f"fix {them}, or import the others with --skip-bad-rows"
        )


async def import_file(
    conn: Connection,
    kind: ImportKind,
    path: Path,
    headers: dict[str, str],
    *,
    dry_run: bool = False,
    skip_bad_rows: bool = False,
) -> ImportReport:
    """Read a file into the database in one transaction. A bad row keeps the whole file out unless bad rows are skipped.

    Args:
        headers: column → header, for headers that are not recognised by name.

    Raises:
        UserError: the file as a whole cannot be imported; the message says why, and what to do.
    """
    try:
        with _opened(path) as file:
            table = open_table(file, COLUMNS[kind], headers)
            reading = _Reading(table, _BAD_LISTED_MAX if skip_bad_rows else _BAD_SHOWN_MAX)
            async with conn.transaction():
                counts = await _stage_and_merge(conn, kind, reading, path.name, skip_bad_rows=skip_bad_rows)
                keep = not dry_run and (reading.bad == 0 or (skip_bad_rows and reading.bad < reading.rows))
                if not keep:
                    raise Rollback
    except ImportFileError as error:
        raise UserError(f"{path}: {error}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    notices = [table.encoding.notice] if table.encoding.notice else []
    if kind is ImportKind.SUPPRESSIONS and _is_delivered_file(table):
        notices.append(_LISTED_AS_CONTACTED if "contacted_at" not in table.columns else _LISTED_FOR_A_TIME)
    if kind is ImportKind.CUSTOMERS and skip_bad_rows and reading.bad:
        notices.append(_NOBODY_REMOVED)
    return ImportReport(
        kind=kind,
        file=path.name,
        encoding=table.encoding.name.removesuffix("-sig"),
        delimiter=table.delimiter,
        columns=table.columns,
        unused_columns=table.unused,
        rows=reading.rows,
        bad=reading.bad,
        not_listed=reading.not_listed,
        counts=counts,
        bad_rows=tuple(reading.bad_rows),
        dry_run=dry_run,
        imported=keep,
        notices=tuple(notices),
        skip_bad_rows=skip_bad_rows,
    )


class _Reading:
    """Parses the rows of a table on demand, counts them and keeps the first bad ones."""

    def __init__(self, table: Table, bad_max: int) -> None:
        self.table = table
        self.rows = self.bad = self.not_listed = 0
        self.bad_rows: list[BadRowShown] = []
        self._bad_max = bad_max

    def parsed(self, parse: Callable[[Row], RowT | None]) -> Iterator[RowT]:
        """Yield the good rows.

        Raises:
            ImportFileError: there are no rows, or a quote is never closed.
        """
        for row in self.table.rows():
            self.rows += 1
            if isinstance(row, BadRow):
                self._add_bad(row.line, row.problem)
                continue
            try:
                found = parse(row)
            except RowError as error:
                self._add_bad(row.line, str(error))
                continue
            if found is None or (isinstance(found, SuppressionChange) and not found.is_listed):
                self.not_listed += 1
            if found is not None:
                yield found
        if self.rows == 0:
            raise ImportFileError("there is a header and no rows: nothing to import")

    def _add_bad(self, line: int, problem: str) -> None:
        self.bad += 1
        if len(self.bad_rows) < self._bad_max:
            self.bad_rows.append(BadRowShown(line=line, problem=problem))


async def _stage_and_merge(
    conn: Connection, kind: ImportKind, reading: _Reading, source: str, *, skip_bad_rows: bool
) -> ImportCounts:
    match kind:
        case ImportKind.SUPPRESSIONS:
            why: SuppressionReason = "contacted" if _is_delivered_file(reading.table) else "do_not_contact"
            listed = partial(suppression_row, source=source, is_account_host=is_account_host, default_reason=why)
            await suppressions.fill_staging_table(conn, reading.parsed(listed))
            return await suppressions.merge_staging_table(conn)
        case ImportKind.CUSTOMERS:
            customers = partial(customer_row, source=source, is_account_host=is_account_host, now=datetime.now(UTC))
            await suppressions.fill_staging_table(conn, reading.parsed(customers))
            return await suppressions.merge_staging_table(conn, may_remove=not (skip_bad_rows and reading.bad))
        case ImportKind.SEEDS:
            accounts = partial(seed_row, find_account=find_account, portal_address=portal_address)
            await vendor_accounts.fill_staging_table(conn, reading.parsed(accounts), source)
            return await vendor_accounts.merge_staging_table(conn)


def _is_delivered_file(table: Table) -> bool:
    """Whether a run delivered this file: then somebody is about to contact its companies."""
    return any(set(columns) <= set(table.header) for columns in (COMPANY_COLUMNS, CONTACT_COLUMNS))


def _opened(path: Path) -> BinaryIO:
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise ImportFileError(f"{what}: expected a CSV file (a pipe cannot be read twice)")
    return path.open("rb")
