"""``python -m cli.detect URL…``: which property management software a site's company runs, and how one can tell.

Needs neither Temporal nor Postgres. Exit codes: 0 every site was judged, 1 a fault of ours kept one from being judged, 2 bad input,
before anything is fetched.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import structlog
import typer
from pydantic import ValidationError
from rich.console import Console

from cli.detect_sites import BadUrlsError, SiteVerdict, SiteVerdicts, checked_urls, detect_sites, verdicts_table
from settings import Settings
from web.fetch import WebClient

EXIT_FAILED, EXIT_BAD_INPUT = 1, 2


def detect(
    urls: Annotated[list[str] | None, typer.Argument(metavar="URL…", help="Sites, such as https://acme.com.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="A text file of sites, one a line, # for remarks; - reads them in.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="How many sites are read at a time.")] = 8,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
    ] = False,
) -> None:
    """Detect the property management software of companies on their own sites.

    Reads the home page and up to three likely pages of each, as robots.txt allows. The setting WEB_PROXY is respected.
    """
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        settings = Settings()
        sites = checked_urls([*(urls or []), *(_lines(file) if file else [])])
    except ValidationError as error:
        first = error.errors()[0]
        _refuse(
            f"the setting {'_'.join(map(str, first['loc'])).upper()} is not usable: {first['msg']}", as_json=as_json
        )
    except (OSError, UnicodeDecodeError) as error:
        _refuse(f"{file} cannot be read: {error}; expected is a text file with one address a line", as_json=as_json)
    except BadUrlsError as error:
        _refuse(str(error), as_json=as_json)
    verdicts = asyncio.run(_detect(settings, sites, concurrency))
    if as_json:
        sys.stdout.write(SiteVerdicts(sites=tuple(verdicts)).model_dump_json(indent=2) + "\n")
    else:
        # Not a terminal: wide enough for a table to stay readable in a log.
        Console(width=None if sys.stdout.isatty() else 200).print(verdicts_table(verdicts))
    raise typer.Exit(EXIT_FAILED if any(verdict.failure for verdict in verdicts) else 0)


async def _detect(settings: Settings, sites: list[str], concurrency: int) -> list[SiteVerdict]:
    web = WebClient(proxy=settings.web_proxy, timeout_s=settings.page_timeout_s, bytes_max=settings.page_bytes_max)
    try:
        return await detect_sites(web, sites, concurrency)
    finally:
        await web.close()


def _lines(file: Path) -> list[str]:
    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _refuse(message: str, *, as_json: bool) -> NoReturn:
    if as_json:
        sys.stdout.write(json.dumps({"error": message}, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write(f"error: {message}\n")
    raise typer.Exit(EXIT_BAD_INPUT)


if __name__ == "__main__":
    typer.run(detect)
