"""Detection of a whole list of sites, without a database: read each site, say what it shows, as a table or as JSON.

The command line itself is ``__main__.py``. What a verdict means is ``domain/company/pms_detection.py``; which pages are
read and what they say together is ``detect.py``.
"""

import asyncio
from collections.abc import Iterable, Sequence

import structlog
from pydantic import BaseModel, ConfigDict
from rich.table import Table
from rich.text import Text

from domain.company.excluded_sites import ExcludedSiteKind, excluded_site_kind
from domain.company.pms_detection import Confidence, PmsDetection, PmsReason, PmsStatus, SitePage, SiteProblem
from domain.company.pms_vendors import PmsVendor
from pms.detect import detect_pms, likely_pages
from web.address_guard import refused_url
from web.company_site import is_parked
from web.fetch import FetchedPage, WebClient
from web.page_text import render_page

log = structlog.get_logger()


class BadUrlsError(ValueError):
    """Addresses that cannot be those of a site; the message names each one with what is wrong with it."""


class Sighting(BaseModel):
    """The strongest sign of one product: where it stands, and the exact words there."""

    model_config = ConfigDict(frozen=True)

    product: str
    kind: str
    url: str
    words: str


class SiteVerdict(BaseModel):
    """What one site says about its company's PMS.

    Attributes:
        url: as it was asked for.
        status, reason: as in ``domain.company.pms_detection.PmsDetection``; None when the site could not be judged for a fault of ours.
        detail: why the site could not be read, as a short code such as ``http_404``, ``robots`` or ``parked``.
        evidence: one sighting per PMS seen, the strongest kind first.
        other_products: HOA, short-term rental and add-on products seen; they are never the PMS.
        pages: the addresses read, the home page first.
        failure: the fault of ours, by its name.
    """

    model_config = ConfigDict(frozen=True)

    url: str
    status: PmsStatus | None
    vendor: PmsVendor | None = None
    account: str | None = None
    confidence: Confidence | None = None
    reason: PmsReason | None = None
    detail: str = ""
    evidence: tuple[Sighting, ...] = ()
    other_products: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    failure: str | None = None


class SiteVerdicts(BaseModel):
    """The document that ``--json`` prints: one verdict per site, in the order asked for."""

    model_config = ConfigDict(frozen=True)

    sites: tuple[SiteVerdict, ...]


def checked_urls(texts: Iterable[str]) -> list[str]:
    """Addresses to read, each once, in order; a bare name is taken as ``http://``, from where sites lead on to https.

    Raises:
        BadUrlsError: one or more cannot be read, or none is left.
    """
    urls: list[str] = []
    problems: list[str] = []
    for text in texts:
        url = text if "://" in text else f"http://{text}"
        refusal = refused_url(url)
        if refusal is not None:
            problems.append(f"{text!r} ({_REFUSALS.get(refusal, refusal)})")
        elif url not in urls:
            urls.append(url)
    if problems:
        raise BadUrlsError(
            f"not the address of a public site: {', '.join(problems)}; expected are addresses such as https://acme.com"
        )
    if not urls:
        raise BadUrlsError("no address is given: name sites, or a file of them with --file")
    return urls


async def detect_sites(web: WebClient, urls: Sequence[str], concurrency: int) -> list[SiteVerdict]:
    """The verdict on every site, in the order of the addresses; a site that makes us fail does not stop the others.

    Args:
        concurrency: how many sites are read at a time.
    """
    slots = asyncio.Semaphore(concurrency)

    async def in_turn(url: str) -> SiteVerdict:
        async with slots:
            return await detect_site(web, url)

    verdicts: list[SiteVerdict] = []
    for url, outcome in zip(urls, await asyncio.gather(*map(in_turn, urls), return_exceptions=True), strict=True):
        if isinstance(outcome, Exception):
            log.error("site_not_judged", url=url, exc_info=outcome)
            verdicts.append(SiteVerdict(url=url, status=None, failure=type(outcome).__name__))
        elif isinstance(outcome, BaseException):
            raise outcome  # cancelled: not a site's fault
        else:
            verdicts.append(outcome)
    return verdicts


async def detect_site(web: WebClient, url: str) -> SiteVerdict:
    """Read a site's home page and up to three likely pages, and judge them."""
    kind = excluded_site_kind(url)
    if kind not in (None, ExcludedSiteKind.FREE_HOST):
        return _verdict(url, detect_pms([], site_problem="no_site"), (), f"{kind}_site")
    home = await web.fetch(url)
    if home.status != "ok":
        return _unread(url, "blocked" if home.status == "blocked" else "no_site", home.reason or home.status)
    if is_parked(render_page(home.body, home.final_url).text):
        return _unread(url, "no_site", "parked")
    pages = [home]
    for likely in likely_pages(home.body, home.final_url):  # one after the other: a small site's server is not pressed
        page = await web.fetch(likely)
        if page.status == "ok":
            pages.append(page)
    detection = detect_pms([_site_page(page) for page in pages])
    moved_to = excluded_site_kind(home.final_url)
    detail = f"leads to a {moved_to} site" if moved_to not in (None, ExcludedSiteKind.FREE_HOST) else ""
    return _verdict(url, detection, tuple(page.final_url for page in pages), detail)


def verdicts_table(verdicts: Sequence[SiteVerdict]) -> Table:
    """Verdicts for a person: one row a site. Words of pages are shown as they are, but never steer the terminal."""
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
        table.add_row(*(Text("".join(letter for letter in cell if letter.isprintable())) for cell in cells))
    return table


_REFUSALS = {
    "scheme": "neither http nor https",
    "bad_url": "malformed",
    "port": "a port that no public site uses",
    "private_address": "not on the public web",
}


def _site_page(page: FetchedPage) -> SitePage:
    return SitePage(url=page.url, final_url=page.final_url, html=page.body, redirects=page.redirects)


def _unread(url: str, problem: SiteProblem, detail: str) -> SiteVerdict:
    return _verdict(url, detect_pms([], site_problem=problem), (), detail)


def _verdict(url: str, detection: PmsDetection, pages: tuple[str, ...], detail: str) -> SiteVerdict:
    strongest: dict[str, Sighting] = {}
    for signal in detection.signals:  # strongest first
        seen = Sighting(product=signal.vendor, kind=signal.kind, url=signal.page_url, words=signal.evidence)
        strongest.setdefault(signal.vendor, seen)
    if detection.vendor is not None:
        strongest = {detection.vendor: strongest[detection.vendor]}
    return SiteVerdict(
        url=url,
        status=detection.status,
        vendor=detection.vendor,
        account=detection.slug,
        confidence=detection.confidence,
        reason=detection.reason,
        detail=detail,
        evidence=tuple(strongest.values()),
        other_products=tuple(dict.fromkeys(signal.vendor for signal in (*detection.negative, *detection.addons))),
        pages=pages,
    )
