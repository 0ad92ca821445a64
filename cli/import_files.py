"""``starter.py import``: a file of suppressions, customers or seeds into the database, all of it or nothing.

The file is read twice, in a stream: once for its encoding, once for its rows, which go through a temporary table; a file of any
size takes the memory of a few rows. What the columns mean is in ``domain/imports``, the merging in ``store``.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from psycopg import Rollback
from pydantic import BaseModel, ConfigDict
from rich.console import Console

from cli.follow import print_json
from domain.company.suppression import SuppressionReason
from domain.delivery.columns import COMPANY_COLUMNS, CONTACT_COLUMNS
from domain.imports.columns import COLUMNS, ImportKind
from domain.imports.rows import RowError, Seed, SuppressionChange, customer_row, seed_row, suppression_row
from domain.imports.table import BadRow, Encoding, ImportFileError, Row, Table, encoding_of, open_table, text_lines
from pms.accounts import find_account, is_account_host, portal_address
from runtime.process import UserError, load_settings, run_async
from runtime.services import open_database
from store.companies import seeds, suppressions
from store.companies.imported import ImportCounts
from store.database import Connection

_CHUNK_BYTES = 1 << 20
_BAD_SHOWN_MAX = 20  # of a file that is refused: enough to see what is wrong with it
_NOBODY_REMOVED = (
    "bad rows are left out, and one of them may hold a customer whom another row says has left: nobody is taken off the list; "
    "mend the bad rows and import the whole file to have it done"
)
_LISTED_AS_CONTACTED = (
    "a list of this application: its companies are listed as contacted, without a date, and so never delivered again; "
    "to have them back SUPPRESSION_CONTACTED_DAYS after it was made, import it with --map contacted_at=created_at"
)
_LISTED_FOR_A_TIME = "a list of this application: its companies are listed as contacted on the dates given"
_WHY_NOT_LISTED = {
    ImportKind.SUPPRESSIONS: "not marked do-not-contact",
    ImportKind.CUSTOMERS: "customers who have left",
}
_BAD_LISTED_MAX = 1000  # of a file that is imported without them: they have to be looked at one by one

RowT = TypeVar("RowT", SuppressionChange, Seed)


class BadRowShown(BaseModel):
    """A row that cannot be imported."""

    model_config = ConfigDict(frozen=True)

    line: int
    problem: str


class ImportReport(BaseModel):
    """What a file holds, and what came of it.

    Attributes:
        columns: what is imported → the headers it is read from; ``unused_columns`` are read from nowhere.
        rows: all that are not empty; of them ``bad`` cannot be imported, ``not_listed`` list nobody (a box not ticked, a
            customer who has left).
        counts: companies by what became of them, or, where nothing was imported, would become.
        imported: whether the database was changed accordingly.
        notices: what was guessed, and what was left undone.
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


def import_command(
    kind: Annotated[ImportKind, typer.Argument(metavar="KIND", help=", ".join(ImportKind))],
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="CSV with a header; docs/imports.md has the columns.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")] = False,
    columns: Annotated[
        list[str] | None, typer.Option("--map", metavar="COLUMN=HEADER", help='Such as domain="Company Domain Name".')
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Import the good rows and list the bad.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
    ] = False,
) -> None:
    """Import who must not be delivered, customers, or known accounts. One bad row, and nothing is imported."""
    console = Console(quiet=as_json, width=None if sys.stdout.isatty() else 160)
    given = _given_columns(columns or [])

    async def work() -> int:
        async with open_database(load_settings()) as conn:
            report = await import_file(conn, kind, file, given, dry_run=dry_run, skip_bad_rows=skip_bad_rows)
        refusal = _refusal(report, skip_bad_rows=skip_bad_rows)
        if as_json:
            print_json({**({"error": refusal} if refusal else {}), **report.model_dump(mode="json")})
            return UserError.exit_code if refusal else 0
        _print_report(console, report)
        if refusal:
            raise UserError(refusal)
        return 0

    raise typer.Exit(run_async(work()))


async def import_file(
    conn: Connection,
    kind: ImportKind,
    path: Path,
    given: dict[str, str],
    *,
    dry_run: bool = False,
    skip_bad_rows: bool = False,
) -> ImportReport:
    """Read a file into the database in one transaction. With a bad row nothing is changed, unless bad rows are to be skipped.

    Args:
        given: column → header, where the common names do not say it.

    Raises:
        UserError: the file as a whole cannot be imported; the message says why, and what to do.
    """
    try:
        encoding = encoding_of(_chunks(path))
        table = open_table(text_lines(_chunks(path), encoding), COLUMNS[kind], given)
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
    notices = [encoding.notice] if encoding.notice else []
    if kind is ImportKind.SUPPRESSIONS and _is_delivered(table):
        notices.append(_LISTED_AS_CONTACTED if "contacted_at" not in table.columns else _LISTED_FOR_A_TIME)
    if kind is ImportKind.CUSTOMERS and skip_bad_rows and reading.bad:
        notices.append(_NOBODY_REMOVED)
    return _report(kind, path, encoding, reading, counts, notices, dry_run=dry_run, imported=keep)


class _Reading:
    """The rows of a table, parsed as they are asked for; counts them and keeps the first bad ones."""

    def __init__(self, table: Table, bad_max: int) -> None:
        self.table = table
        self.rows = self.bad = self.not_listed = 0
        self.bad_rows: list[BadRowShown] = []
        self._bad_max = bad_max

    def parsed(self, parse: Callable[[Row], RowT | None]) -> Iterator[RowT]:
        """The good rows.

        Raises:
            ImportFileError: there are no rows, or none after a quote that is never closed.
        """
        for row in self.table.rows():
            self.rows += 1
            if isinstance(row, BadRow):
                self._is_bad(row.line, row.problem)
                continue
            try:
                found = parse(row)
            except RowError as error:
                self._is_bad(row.line, str(error))
                continue
            if found is None or (isinstance(found, SuppressionChange) and not found.is_listed):
                self.not_listed += 1
            if found is not None:
                yield found
        if self.rows == 0:
            raise ImportFileError("there is a header and no rows: nothing to import")

    def _is_bad(self, line: int, problem: str) -> None:
        self.bad += 1
        if len(self.bad_rows) < self._bad_max:
            self.bad_rows.append(BadRowShown(line=line, problem=problem))


async def _stage_and_merge(
    conn: Connection, kind: ImportKind, reading: _Reading, source: str, *, skip_bad_rows: bool
) -> ImportCounts:
    match kind:
        case ImportKind.SUPPRESSIONS:
            why: SuppressionReason = "contacted" if _is_delivered(reading.table) else "do_not_contact"
            listed = partial(suppression_row, source=source, is_account_host=is_account_host, default_reason=why)
            await suppressions.fill_staging_table(conn, reading.parsed(listed))
            return await suppressions.merge_staging_table(conn)
        case ImportKind.CUSTOMERS:
            customers = partial(customer_row, source=source, is_account_host=is_account_host, now=datetime.now(UTC))
            await suppressions.fill_staging_table(conn, reading.parsed(customers))
            return await suppressions.merge_staging_table(conn, may_remove=not (skip_bad_rows and reading.bad))
        case ImportKind.SEEDS:
            accounts = partial(seed_row, find_account=find_account, portal_address=portal_address)
            await seeds.fill_staging_table(conn, reading.parsed(accounts), source)
            return await seeds.merge_staging_table(conn)


def _is_delivered(table: Table) -> bool:
    """Whether a file is one that a run delivered: whom it names, somebody is about to contact."""
    return any(set(columns) <= set(table.header) for columns in (COMPANY_COLUMNS, CONTACT_COLUMNS))


def _chunks(path: Path) -> Iterator[bytes]:
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise ImportFileError(f"{what}: expected a CSV file (a pipe cannot be read twice)")
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _given_columns(pairs: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in pairs:
        column, separator, header = pair.partition("=")
        if not separator or not column.strip() or not header.strip():
            raise UserError(f'--map takes column=header, such as --map domain="Company Domain Name", not {pair!r}')
        name = column.strip().lower()
        if name in given:
            raise UserError(f"--map gives {name} twice: {given[name]!r} and {header.strip()!r}")
        given[name] = header.strip()
    return given


def _report(
    kind: ImportKind,
    path: Path,
    encoding: Encoding,
    reading: _Reading,
    counts: ImportCounts,
    notices: Sequence[str],
    *,
    dry_run: bool,
    imported: bool,
) -> ImportReport:
    table = reading.table
    return ImportReport(
        kind=kind,
        file=path.name,
        encoding=encoding.name.removesuffix("-sig"),
        delimiter=table.delimiter,
        columns=table.columns,
        unused_columns=table.unused,
        rows=reading.rows,
        bad=reading.bad,
        not_listed=reading.not_listed,
        counts=counts,
        bad_rows=tuple(reading.bad_rows),
        dry_run=dry_run,
        imported=imported,
        notices=tuple(notices),
    )


def _refusal(report: ImportReport, *, skip_bad_rows: bool) -> str | None:
    """Why nothing was (or, as a rehearsal, would be) imported; None where it was or would be."""
    if report.bad == 0 or (skip_bad_rows and report.bad < report.rows):
        return None
    if report.bad == report.rows:
        which = "the only row of {} is" if report.rows == 1 else f"all {report.rows:,} rows of {{}} are"
        return f"{which.format(report.file)} bad: nothing is imported"
    would = "would be" if report.dry_run else "was"
    return (
        f"{report.bad:,} of {report.rows:,} rows {'is' if report.bad == 1 else 'are'} bad, so nothing {would} imported: mend "
        f"{'it' if report.bad == 1 else 'them'}, "
        "or import the others with --skip-bad-rows"
    )


def _print_report(console: Console, report: ImportReport) -> None:
    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    for notice in report.notices:
        say(f"NOTE: {notice}")
    encoding = Encoding(report.encoding).called
    say(f"{report.file}: {encoding}, divided by {report.delimiter}, {_rows(report.rows)}")
    for column, headers in report.columns.items():
        say(f"  {column} ← {', '.join(headers)}")
    if report.unused_columns:
        say(f"  not used: {', '.join(report.unused_columns)}")
    for bad in report.bad_rows:
        say(f"line {bad.line}: {bad.problem}")
    if report.bad > len(report.bad_rows):
        say(f"… and {_rows(report.bad - len(report.bad_rows), 'more bad ')}")
    counts = report.counts
    parts = [f"{counts.new:,} new", f"{counts.updated:,} updated", f"{counts.unchanged:,} unchanged"]
    if report.kind is ImportKind.CUSTOMERS:
        parts.append(f"{counts.removed:,} removed")
    if report.not_listed:
        parts.append(f"{_rows(report.not_listed)} not listed ({_WHY_NOT_LISTED[report.kind]})")
    if report.bad:
        parts.append(f"{report.bad:,} bad")
    head = (
        "Imported"
        if report.imported
        else ("Dry run, nothing changed" if report.dry_run else "Nothing imported; it would be")
    )
    say(f"{head}: {', '.join(parts)}")


def _rows(count: int, which: str = "") -> str:
    return f"{count:,} {which}row{'' if count == 1 else 's'}"
