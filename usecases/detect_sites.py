"""Detect the software of any sites, without a database. ``domain/company/pms_detection.py`` explains the verdicts."""

import asyncio
from collections.abc import Iterable, Sequence

import structlog
from pydantic import BaseModel, ConfigDict

from domain.company.excluded_sites import ExcludedSiteKind, excluded_site_kind
from domain.company.pms_detection import Confidence, PmsDetection, PmsReason, PmsStatus, SitePage
from domain.company.pms_vendors import PmsVendor
from pms.detect import detect_pms, likely_pages
from runtime.process import UserError
from web.address_guard import refused_url
from web.company_site import is_parked
from web.fetch import WebClient
from web.page_text import render_page

log = structlog.get_logger()

_REFUSALS = {
    "scheme": "neither http nor https",
    "bad_url": "malformed",
    "port": "a port that no public site uses",
    "private_address": "not on the public web",
}


class Sighting(BaseModel):
    """The strongest sign of one product."""

    model_config = ConfigDict(frozen=True)

    product: str
    kind: str
    url: str
    words: str


class SiteVerdict(BaseModel):
    """The software that one site shows.

    Attributes:
        status, reason: as in ``PmsDetection``. None after an unexpected error.
        detail: why the site could not be read, such as ``http_404``, ``robots`` or ``parked``.
        evidence: one sighting per PMS, strongest first.
        other_products: HOA, short-term rental and add-on products, which never count as the PMS.
        pages: URLs of the pages read, home page first.
        failure: name of the unexpected error.
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


def checked_urls(texts: Iterable[str]) -> list[str]:
    """Return the valid URLs without duplicates. A bare name gets ``http://``, because sites redirect to https themselves.

    Raises:
        UserError: an address is not valid, or none is given.
    """
    urls: dict[str, None] = {}
    problems: list[str] = []
    for text in texts:
        url = text if "://" in text else f"http://{text}"
        refusal = refused_url(url)
        if refusal is None:
            urls[url] = None
        else:
            problems.append(f"{text!r} ({_REFUSALS.get(refusal, refusal)})")
    if problems:
        raise UserError(
            f"not the address of a public site: {', '.join(problems)}; give addresses such as https://acme.com"
        )
    if not urls:
        raise UserError("no address is given: name sites, or a file of them with --file")
    return list(urls)


async def detect_sites(web: WebClient, urls: Sequence[str], concurrency: int) -> list[SiteVerdict]:
    """Return a verdict on every site, in the given order. An unexpected error on one site does not stop the others."""
    slots = asyncio.Semaphore(concurrency)

    async def verdict_on(url: str) -> SiteVerdict:
        async with slots:
            return await _detect_site(web, url)

    verdicts: list[SiteVerdict] = []
    for url, outcome in zip(urls, await asyncio.gather(*map(verdict_on, urls), return_exceptions=True), strict=True):
        if isinstance(outcome, Exception):
            log.error("site_not_judged", url=url, exc_info=outcome)
            verdicts.append(SiteVerdict(url=url, status=None, failure=type(outcome).__name__))
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            verdicts.append(outcome)
    return verdicts


async def _detect_site(web: WebClient, url: str) -> SiteVerdict:
    kind = excluded_site_kind(url)
    if kind not in (None, ExcludedSiteKind.FREE_HOST):
        return _verdict(url, detect_pms([], site_problem="no_site"), detail=f"{kind}_site")
    home = await web.fetch(url)
    if home.status != "ok":
        problem = detect_pms([], site_problem="blocked" if home.status == "blocked" else "no_site")
        return _verdict(url, problem, detail=home.reason or home.status)
    if is_parked(render_page(home.body, home.final_url).text):
        return _verdict(url, detect_pms([], site_problem="no_site"), detail="parked")
    pages = [home]
    for likely in likely_pages(home.body, home.final_url):  # one at a time, to be gentle with small servers
        page = await web.fetch(likely)
        if page.status == "ok":
            pages.append(page)
    detection = detect_pms(
        [SitePage(url=page.url, final_url=page.final_url, html=page.body, redirects=page.redirects) for page in pages]
    )
    moved_to = excluded_site_kind(home.final_url)
    detail = f"leads to a {moved_to} site" if moved_to not in (None, ExcludedSiteKind.FREE_HOST) else ""
    return _verdict(url, detection, tuple(page.final_url for page in pages), detail)


def _verdict(url: str, detection: PmsDetection, pages: tuple[str, ...] = (), detail: str = "") -> SiteVerdict:
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
