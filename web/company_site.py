"""Reads a company's website and detects its property management software, without a model."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.company.excluded_sites import is_company_domain
from domain.company.hosts import registrable_domain
from domain.company.identity import phones_in
from domain.company.places import Place, addresses_in
from domain.company.pms_detection import PmsDetection, SitePage
from domain.evidence import Evidence
from domain.failures import HOST_BUSY
from pms.detect import detect_pms, likely_pages
from store.tools.tool_results import ToolResult
from web.gateway import ToolGateway
from web.page_retry import retry_in_s
from web.rate_limit import RATE_LIMIT_TIMEOUT

SiteProblem = Literal["no_site", "blocked"]

_PARKED = re.compile(
    r"\b(domain (name )?(is|may be) (for sale|parked|available)|buy this domain|parked (free|domain)|this domain has expired"
    r"|website (is )?(coming soon|under construction)|account (has been )?suspended)\b",
    re.IGNORECASE,
)
_PARKED_TEXT_MAX = 1500  # a parked page is short; a longer page may use these words in passing
_CONTACT_LINK = re.compile(r"contact|location|office", re.IGNORECASE)
_MARKDOWN_LINK = re.compile(r"\[([^\]]*)\]\((https?://[^)\s]+)\)")
# The queue was longer than RATE_LIMIT_WAIT_MAX_S (120 s). After a minute, half of it is done.
_BUSY_RETRY_DELAY = timedelta(seconds=60)


@dataclass(frozen=True)
class SiteReading:
    """The result of reading a site.

    Attributes:
        detail: the cause of ``problem``, as a code.
        domain: registrable domain of the final address.
        aliases: other domains of the company that redirected there.
        pages: the pages that were read, home page first.
    """

    problem: SiteProblem | None
    detail: str
    domain: str | None
    website: str
    aliases: tuple[str, ...]
    pages: tuple[ToolResult, ...]
    detection: PmsDetection
    office_phones: tuple[str, ...] = ()

    def places(self) -> list[tuple[Place, Evidence]]:
        """Return the offices by postal address, those on the most pages first."""
        found: dict[tuple[str | None, str | None], tuple[Place, Evidence]] = {}
        mentions: dict[tuple[str | None, str | None], int] = {}
        for page in self.pages:
            for place, words in addresses_in(page.text):
                key = (place.city, place.zip)
                found.setdefault(key, (place, Evidence(result_id=page.result_id, url=page.final_url, quote=words)))
                mentions[key] = mentions.get(key, 0) + 1
        return [found[key] for key in sorted(found, key=lambda key: -mentions[key])]  # equal counts stay in page order


class HostBusyError(ApplicationError):
    """Our own requests to the site are queueing, so a page was not requested."""

    def __init__(self, site: str | None) -> None:
        super().__init__(
            f"{site}: too many of our own requests are queueing; the activity is retried",
            type=HOST_BUSY,
            next_retry_delay=_BUSY_RETRY_DELAY,
        )


class SiteUnavailableError(ApplicationError):
    """Pages of a site failed temporarily. On the retry, the other pages come from the cache."""

    def __init__(self, site: str | None, reasons: Iterable[str], retry_in_s: float) -> None:
        super().__init__(
            f"{site} is temporarily unavailable ({', '.join(sorted(set(reasons)))}); the activity is retried",
            type="SiteUnavailableError",
            next_retry_delay=timedelta(seconds=retry_in_s),
            category=ApplicationErrorCategory.BENIGN,
        )


async def read_site(gateway: ToolGateway, website: str, *, is_last_attempt: bool = False) -> SiteReading:
    """Read the home page and a few likely pages, and detect the property management software.

    Args:
        is_last_attempt: treat temporary failures as final.

    Raises:
        HostBusyError: too many of our own requests to the site are queueing.
        SiteUnavailableError: a page failed temporarily.
    """
    [home] = await _fetch(gateway, [website], is_last_attempt)
    final = home.final_url
    domain = registrable_domain(final)
    start = registrable_domain(website)
    # A link shortener or free host may redirect here. Other companies share its domain, so it is not an alias.
    aliases = (start,) if start and start != domain and is_company_domain(start) else ()
    if home.status != "ok" or is_parked(home.text):
        problem: SiteProblem = "blocked" if home.status == "blocked" else "no_site"
        detail = "parked" if home.status == "ok" else home.reason or home.status
        return SiteReading(problem, detail, domain, final, aliases, (), detect_pms([], site_problem=problem))
    pages = [home]
    for page in await _fetch(gateway, likely_pages(await gateway.page_body(home), final), is_last_attempt):
        if page.status == "ok" and all(page.page_hash != other.page_hash for other in pages):
            pages.append(page)
    if not any(addresses_in(page.text) for page in pages):
        contact_pages = await _fetch(gateway, _contact_urls(home, domain)[:1], is_last_attempt)
        pages += [page for page in contact_pages if page.status == "ok"]
    site_pages = [
        SitePage(
            url=page.payload["url"],
            final_url=page.final_url,
            html=await gateway.page_body(page),
            redirects=tuple(page.payload["redirects"]),
        )
        for page in pages
    ]
    return SiteReading(
        None, "", domain, _root(final), aliases, tuple(pages), detect_pms(site_pages), _office_phones(pages)
    )


def raise_if_unavailable(pages: Iterable[ToolResult]) -> None:
    """Raise HostBusyError or SiteUnavailableError if one of these pages failed temporarily."""
    pages = list(pages)
    for page in pages:
        _raise_if_busy(page)
    failed = [(page, pause_s) for page in pages if (pause_s := retry_in_s(page)) is not None]
    if failed:
        site = registrable_domain(failed[0][0].final_url)
        reasons = [page.reason or page.status for page, _ in failed]
        raise SiteUnavailableError(site, reasons, max(pause_s for _, pause_s in failed))


def is_parked(text: str) -> bool:
    """Whether a page only says that its domain is for sale, or that the site is not ready or suspended."""
    return len(text) <= _PARKED_TEXT_MAX and _PARKED.search(text) is not None


async def _fetch(gateway: ToolGateway, urls: Iterable[str], is_last_attempt: bool) -> list[ToolResult]:
    pages = []
    for url in urls:
        pages.append(await gateway.fetch_page(url, retry=is_last_attempt))
        _raise_if_busy(pages[-1])  # on the last attempt too: an unread page must not count as "no software found"
    if not is_last_attempt:
        raise_if_unavailable(pages)
    return pages


def _raise_if_busy(page: ToolResult) -> None:
    if page.reason == RATE_LIMIT_TIMEOUT:
        raise HostBusyError(registrable_domain(page.final_url))


def _contact_urls(home: ToolResult, domain: str | None) -> list[str]:
    return [
        url
        for words, url in _MARKDOWN_LINK.findall(home.text)
        if _CONTACT_LINK.search(f"{words} {url}") and registrable_domain(url) == domain
    ]


def _root(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0]}/"


def _office_phones(pages: Iterable[ToolResult]) -> tuple[str, ...]:
    """Return the phone numbers that appear on every page. This excludes personal numbers."""
    first, *others = [phones_in(page.text) for page in pages]
    return tuple(phone for phone in first if all(phone in phones for phones in others))
