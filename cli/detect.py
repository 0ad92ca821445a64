"""``starter.py detect``: detect the property management software of any sites. Needs no stack.

Exit codes: 0 all sites were judged, 1 an unexpected error on a site, 2 bad input (nothing was fetched).
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.table import Table
from rich.text import Text

from cli.common import JsonOption, Output, async_command
from cli.evidence import plain
from runtime.process import UserError, load_settings
from usecases.detect_sites import SiteVerdict, checked_urls, detect_sites
from web.fetch import WebClient


@async_command
async def detect(
    urls: Annotated[list[str] | None, typer.Argument(metavar="URL…", help="Sites, such as https://acme.com.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="A text file with one site per line, # for comments; - reads standard input.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="How many sites are read at a time.")] = 8,
    as_json: JsonOption = False,
) -> int:
    """Detect the property management software of companies from their websites.

    Reads the home page and up to three other pages of each site, if robots.txt allows it.
    """
    out = Output(as_json)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    settings = load_settings()
    sites = checked_urls([*(urls or []), *(_lines(file) if file else [])])
    web = WebClient(proxy=settings.web_proxy, timeout_s=settings.page_timeout_s, bytes_max=settings.page_bytes_max)
    try:
        verdicts = await detect_sites(web, sites, concurrency)
    finally:
        await web.close()
    out.document({"sites": [verdict.model_dump(mode="json") for verdict in verdicts]})
    out.print(verdicts_table(verdicts))
    return 1 if any(verdict.failure for verdict in verdicts) else 0


def verdicts_table(verdicts: Sequence[SiteVerdict]) -> Table:
    """Return the verdicts as a table. Text from pages is shown without markup or control characters."""
    table = Table()
    for name in ("site", "status", "PMS", "account", "confidence", "why", "evidence", "pages"):
        table.add_column(name, overflow="fold")
    for verdict in verdicts:
        cells = (
            verdict.url,
            verdict.status or "failed",
            verdict.vendor or "",
            verdict.account or "",
            verdict.confidence or "",
            " ".join(part for part in (verdict.reason, verdict.detail, verdict.failure) if part),
            "; ".join(f"{seen.product}: {seen.words} on {seen.url}" for seen in verdict.evidence),
            str(len(verdict.pages)),
        )
        table.add_row(*(Text(plain(cell)) for cell in cells))
    return table


def _lines(file: Path) -> list[str]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}; give a text file with one address per line") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
