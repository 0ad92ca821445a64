"""``starter.py evidence``. Quotes come from other people's pages, so they are printed without markup or control characters."""

from datetime import UTC
from itertools import groupby
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from cli.common import JsonOption, Output, RunArgument, async_command
from domain.company.status import CompanyStatus
from domain.delivery.evidence_cells import EvidenceCell, evidence_cells
from runtime.process import load_settings
from runtime.services import open_database
from store.delivery.evidence import CompanyEvidence
from usecases.evidence import evidence_document, evidence_of
from usecases.find import find_run

_COMPANY_COLUMNS_OF_CONTACTS = ("company_name", "company_domain", "company_website", "company_state")


@async_command
async def evidence(
    run: RunArgument,
    company: Annotated[
        str | None, typer.Argument(metavar="[COMPANY]", help="Domain, name or id of one company, of any status.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Show the quote and page behind each delivered cell."""
    out = Output(as_json)
    async with open_database(load_settings()) as conn:
        row = await find_run(conn, run)
        loaded = await evidence_of(conn, row, company)
    out.document({"run_id": str(row.run_id), "companies": [evidence_document(item) for item in loaded]})
    for item in loaded:
        print_evidence(out, item)
    if not loaded:
        out.print(f"Run {row.short_id} has no complete company yet.")
    return 0


def print_evidence(out: Console, company: CompanyEvidence) -> None:
    standing = company.status.value
    if company.status not in {CompanyStatus.COMPLETE, CompanyStatus.FOUND} and company.reason is not None:
        standing += f", {company.reason.value}"
    if company.accepted_by is not None and company.accepted_at is not None:
        at = company.accepted_at.astimezone(UTC)
        standing += f", criteria overruled by {company.accepted_by} at {at:%Y-%m-%d %H:%M} UTC"
    _line(out, (company.record.name, "bold"), (f" · {company.record.domain or 'no domain'} · {standing}", ""))
    for person, cells in groupby(evidence_cells(company.record), key=lambda cell: cell.person):
        if person is not None:
            _line(out, (f"  {person}", "bold"))
        for cell in cells:
            if person is None or cell.column not in _COMPANY_COLUMNS_OF_CONTACTS:
                _print_cell(out, cell)
        if person is not None:
            _line(out, (f"    {', '.join(_COMPANY_COLUMNS_OF_CONTACTS)}", "cyan"), (" as above", ""))
    out.print()


def plain(text: str) -> str:
    """Return the text on one line, without control characters or other invisible characters."""
    return "".join(char if char.isprintable() else " " * char.isspace() for char in text)


def _print_cell(out: Console, cell: EvidenceCell) -> None:
    _line(out, (f"    {cell.column} ", "cyan"), (cell.value, ""))
    if cell.is_unproven:
        _line(out, ("      NO EVIDENCE is stored for it", "bold red"))
    elif cell.quote is not None:
        _line(out, (f"      “{cell.quote}”{f' ({cell.rule})' if cell.rule else ''}", ""))
    else:
        _line(out, (f"      {cell.basis}: {cell.rule}", "dim"))
    if cell.url:
        _line(out, (f"      {cell.url}", "dim"))


def _line(out: Console, *parts: tuple[str, str]) -> None:
    # Text is not parsed for markup; soft wrap keeps a URL in one piece.
    out.print(Text.assemble(*((plain(text), style) for text, style in parts)), soft_wrap=True)
