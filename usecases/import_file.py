"""Import a file of suppressions, customers or seeds. A bad row stops the whole import, unless bad rows are skipped.

The file is streamed twice, for its encoding and for its rows, so large files need little memory.
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

_BAD_SHOWN_MAX = 20  # if the file is refused: enough to see what is wrong
_BAD_LISTED_MAX = 1000  # if the bad rows are skipped: somebody checks each of them
_NOBODY_REMOVED = (
    "no customer is removed, because a skipped bad row may list a customer whom another row marks as left. To remove "
    "former customers, fix the bad rows and import the whole file"
)
_LISTED_AS_CONTACTED = (
    "a run delivered this file, so its companies are stored as contacted. They have no date, so they are never delivered "
    "again. To allow them again after SUPPRESSION_CONTACTED_DAYS, import the file with --map contacted_at=created_at"
)
_LISTED_FOR_A_TIME = "a run delivered this file, so its companies are stored as contacted on the given dates"

RowT = TypeVar("RowT", SuppressionChange, Seed)


class BadRowShown(BaseModel):
    model_config = ConfigDict(frozen=True)

    line: int
    problem: str


class ImportReport(BaseModel):
    """What a file contains, and what the import did with it.

    Attributes:
        columns: the headers of each imported column. ``unused_columns`` are the other headers.
        rows: rows that are not empty.
        bad: rows that cannot be imported.
        not_listed: rows that list nobody, such as an unticked box or a former customer.
        counts: changes to companies, also in a dry run.
        notices: what was guessed or not done.
        refusal: why nothing was (or would be) imported, or None.
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
    """Import a file in one transaction.

    Args:
        headers: column → header, for headers whose name is not recognized.

    Raises:
        UserError: the file cannot be imported at all.
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
    """Parses the rows of a table, counts them and stores the first bad ones."""

    def __init__(self, table: Table, bad_max: int) -> None:
        self.table = table
        self.rows = self.bad = self.not_listed = 0
        self.bad_rows: list[BadRowShown] = []
        self._bad_max = bad_max

    def parsed(self, parse: Callable[[Row], RowT | None]) -> Iterator[RowT]:
        """Yield the good rows.

        Raises:
            ImportFileError: the file has no rows, or a quote is never closed.
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
    """Whether a run exported this file. Somebody is then about to contact its companies."""
    return any(set(columns) <= set(table.header) for columns in (COMPANY_COLUMNS, CONTACT_COLUMNS))


def _opened(path: Path) -> BinaryIO:
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise ImportFileError(f"{what}: expected a CSV file (a pipe cannot be read twice)")
    return path.open("rb")
