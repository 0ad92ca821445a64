"""``starter.py evidence``: what each cell of a run's files rests on, for a person to check and for a program to read.

Needs the database alone. Quotes are words of strangers' pages: they are printed as text, without markup and control characters.
"""

from datetime import UTC
from itertools import groupby
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from activities.export import selected_companies
from cli.follow import print_json
from domain.company.status import CompanyStatus
from domain.delivery.evidence_cells import EvidenceCell, evidence_cells
from runtime.process import load_settings, run_async
from runtime.services import open_database
from store.database import Connection
from store.delivery.evidence import CompanyEvidence, load_evidence
from store.runs.runs import RunRow
from usecases.find_company import find_company
from usecases.find_run import find_run

_AS_THE_COMPANY = frozenset({"company_name", "company_domain", "company_website", "company_state"})


def evidence_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its first 8 characters, or the workflow id.")],
    company: Annotated[
        str | None, typer.Argument(metavar="[COMPANY]", help="Domain, name or id of one company, of any status.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
    ] = False,
) -> None:
    """Show the words and the page that each delivered cell rests on."""
    console = Console(quiet=as_json)

    async def work() -> int:
        async with open_database(load_settings()) as conn:
            row = await find_run(conn, run)
            loaded = await evidence_of(conn, row, company)
        if as_json:
            print_json({"run_id": str(row.run_id), "companies": [document(item) for item in loaded]})
        for item in loaded:
            print_evidence(console, item)
        if not loaded:
            console.print(f"Run {str(row.run_id)[:8]} has no complete company yet.")
        return 0

    raise typer.Exit(run_async(work()))


async def evidence_of(conn: Connection, run: RunRow, company: str | None) -> list[CompanyEvidence]:
    """The companies that a run delivers, in that order; or the one company that a text names.

    Raises:
        UserError: no company, or several, are meant.
    """
    if company is None:
        return await load_evidence(conn, await selected_companies(conn, run))
    return await load_evidence(conn, [(await find_company(conn, run, company)).company_id])


def document(company: CompanyEvidence) -> dict[str, Any]:
    """A company and its cells as ``--json`` prints them."""
    stands = company.model_dump(mode="json", exclude={"record"})
    cells = [cell.model_dump(mode="json") for cell in evidence_cells(company.record)]
    return {"company_name": company.record.name, "domain": company.record.domain, **stands, "cells": cells}


def print_evidence(console: Console, company: CompanyEvidence) -> None:
    """A company's cells for a terminal: a line for the value, one for the words or the rule, one for the page."""
    stands = company.status.value
    if company.status not in {CompanyStatus.COMPLETE, CompanyStatus.FOUND} and company.reason is not None:
        stands += f", {company.reason.value}"
    if company.accepted_by is not None and company.accepted_at is not None:
        at = company.accepted_at.astimezone(UTC)
        stands += f", criteria overruled by {company.accepted_by} at {at:%Y-%m-%d %H:%M} UTC"
    _line(console, (company.record.name, "bold"), (f" · {company.record.domain or 'no domain'} · {stands}", ""))
    for person, cells in groupby(evidence_cells(company.record), key=lambda cell: cell.person):
        if person is not None:
            _line(console, (f"  {person}", "bold"))
        for cell in cells:
            if person is None or cell.column not in _AS_THE_COMPANY:
                _print_cell(console, cell)
        if person is not None:
            _line(
                console, ("    company_name, company_domain, company_website, company_state", "cyan"), (" as above", "")
            )
    console.print()


def plain(text: str) -> str:
    """Words of a stranger's page for a terminal: one line, without control, direction or other invisible characters."""
    return "".join(char if char.isprintable() else " " * char.isspace() for char in text)


def _print_cell(console: Console, cell: EvidenceCell) -> None:
    _line(console, (f"    {cell.column} ", "cyan"), (cell.value, ""))
    if cell.is_unproven:
        _line(console, ("      NO EVIDENCE is stored for it", "bold red"))
    elif cell.quote is not None:
        _line(console, (f"      “{cell.quote}”{f' ({cell.rule})' if cell.rule else ''}", ""))
    else:
        _line(console, (f"      {cell.basis}: {cell.rule}", "dim"))
    if cell.url:
        _line(console, (f"      {cell.url}", "dim"))


def _line(console: Console, *parts: tuple[str, str]) -> None:
    # A Text is neither parsed for markup nor highlighted; soft wrap keeps an address in one piece.
    console.print(Text.assemble(*((plain(text), style) for text, style in parts)), soft_wrap=True)
