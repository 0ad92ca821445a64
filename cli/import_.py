"""``starter.py import``: import a file of suppressions, customers or seeds (known accounts)."""

from pathlib import Path
from typing import Annotated

import typer

from cli.common import DryRunOption, JsonOption, Output, async_command
from domain.imports.columns import ImportKind
from domain.imports.table import Encoding
from runtime.process import UserError, load_settings
from runtime.services import open_database
from usecases.import_file import ImportReport, import_file

_WHY_NOT_LISTED = {
    ImportKind.SUPPRESSIONS: "not marked do-not-contact",
    ImportKind.CUSTOMERS: "customers who have left",
}


@async_command
async def import_(
    kind: Annotated[ImportKind, typer.Argument(metavar="KIND", help=", ".join(ImportKind))],
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="CSV with a header; docs/imports.md has the columns.")
    ],
    dry_run: DryRunOption = False,
    columns: Annotated[
        list[str] | None, typer.Option("--map", metavar="COLUMN=HEADER", help='Such as domain="Company Domain Name".')
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Import the good rows and list the bad ones.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Import suppressions, customers or known accounts. One bad row stops the whole import."""
    headers = _headers_by_column(columns or [])
    async with open_database(load_settings()) as conn:
        report = await import_file(conn, kind, file, headers, dry_run=dry_run, skip_bad_rows=skip_bad_rows)
    out = Output(as_json)
    out.document({**({"error": report.refusal} if report.refusal else {}), **report.model_dump(mode="json")})
    _print_report(out, report)
    if report.refusal and not as_json:
        raise UserError(report.refusal)
    return UserError.exit_code if report.refusal else 0


def _headers_by_column(pairs: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for pair in pairs:
        column, separator, header = (part.strip() for part in pair.partition("="))
        if not separator or not column or not header:
            raise UserError(f'--map takes column=header, such as --map domain="Company Domain Name", not {pair!r}')
        name = column.lower()
        if name in headers:
            raise UserError(f"--map gives {name} twice: {headers[name]!r} and {header!r}")
        headers[name] = header
    return headers


def _print_report(out: Output, report: ImportReport) -> None:
    for notice in report.notices:
        out.say(f"NOTE: {notice}")
    encoding = Encoding(report.encoding).label
    out.say(f"{report.file}: {encoding}, separated by {report.delimiter}, {_rows(report.rows)}")
    for column, headers in report.columns.items():
        out.say(f"  {column} ← {', '.join(headers)}")
    if report.unused_columns:
        out.say(f"  not used: {', '.join(report.unused_columns)}")
    for bad in report.bad_rows:
        out.say(f"line {bad.line}: {bad.problem}")
    if report.bad > len(report.bad_rows):
        out.say(f"… and {_rows(report.bad - len(report.bad_rows), 'more bad ')}")
    counts = report.counts
    parts = [f"{counts.new:,} new", f"{counts.updated:,} updated", f"{counts.unchanged:,} unchanged"]
    if report.kind is ImportKind.CUSTOMERS:
        parts.append(f"{counts.removed:,} removed")
    if report.not_listed:
        parts.append(f"{_rows(report.not_listed)} not listed ({_WHY_NOT_LISTED[report.kind]})")
    if report.bad:
        parts.append(f"{report.bad:,} bad")
    not_imported = "Dry run, nothing changed" if report.dry_run else "Nothing imported; it would be"
    head = "Imported" if report.imported else not_imported
    out.say(f"{head}: {', '.join(parts)}")


def _rows(count: int, which: str = "") -> str:
    return f"{count:,} {which}row{'' if count == 1 else 's'}"
