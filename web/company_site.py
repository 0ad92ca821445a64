"""A company's own site, as far as code needs it: home page, likely pages, and what they prove without any model."""

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

SiteProblem = Literal["no_site", "blocked"]

_PARKED = re.compile(
    r"\b(domain (name )?(is|may be) (for sale|parked|available)|buy this domain|parked (free|domain)|this domain has expired"
    r"|website (is )?(coming soon|under construction)|account (has been )?suspended)\b",
    re.IGNORECASE,
)
_PARKED_TEXT_MAX = 1500  # a parked page says little else; a long page may mention the words in passing
_CONTACT_LINK = re.compile(r"contact|location|office", re.IGNORECASE)
# A turn is refused when the queue before it is longer than RATE_LIMIT_WAIT_MAX_S (120 s): seconds later it still is, a minute
# later half of it is gone.
_BUSY_RETRY_DELAY = timedelta(seconds=60)


@dataclass(frozen=True)
class SiteReading:
    """What reading a site gave.

    Attributes:
        problem: why there is nothing to read, if so; ``detail`` says it in a word.
        domain: registrable domain that finally answered; ``aliases`` others passed on the way that are its own.
        pages: the pages that could be read, home page first.
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
        """Offices by postal address with the words that say so, those on most pages first."""
        found: dict[tuple[str | None, str | None], tuple[Place, Evidence, int]] = {}
        for page in self.pages:
            for place, words in addresses_in(page.text):
                key = (place.city, place.zip)
                evidence = Evidence(result_id=page.result_id, url=page.final_url, quote=words)
                first = found.get(key, (place, evidence, 0))
                found[key] = (first[0], first[1], first[2] + 1)
        ranked = sorted(found.values(), key=lambda item: -item[2])  # stable: page order among equals
        return [(place, evidence) for place, evidence, _ in ranked]


class HostBusyError(ApplicationError):
    """The turn of one of the site's pages did not come in time, because we ourselves ask so much of its host.

    Nothing follows from it about the site. It reaches Temporal as it is, with its own delay before the next attempt;
    pages that were read before come from the store then.
    """

    def __init__(self, site: str | None) -> None:
        super().__init__(
            f"{site} is being asked too often by us; the step is tried again",
            type=HOST_BUSY,
            next_retry_delay=_BUSY_RETRY_DELAY,
        )


class SiteUnavailableError(ApplicationError):
    """Pages of a site failed for a reason that may pass: no answer in time, a broken connection, a server error.

    Nothing follows from it about the site yet (LESSONS F65). It reaches Temporal as it is, with its own delay before the next
    attempt; pages that were read come from the store then.
    """

    def __init__(self, site: str | None, reasons: Iterable[str], retry_in_s: float) -> None:
        super().__init__(
            f"{site} does not answer as it should ({', '.join(sorted(set(reasons)))}); the step is tried again",
            type="SiteUnavailableError",
            next_retry_delay=timedelta(seconds=retry_in_s),
            category=ApplicationErrorCategory.BENIGN,
        )


async def read_site(gateway: ToolGateway, website: str, *, is_last_attempt: bool = False) -> SiteReading:
    """Read the home page and up to three likely pages, and detect the property management software.

    Args:
        is_last_attempt: the step is not tried again, so pages that may be there later are taken for what they are now.

    Raises:
        HostBusyError: our own pace left no time for one of these pages; the step is to be tried again.
        SiteUnavailableError: one of these pages failed for a reason that may pass; unless ``is_last_attempt``.
    """
    home = await _fetch(gateway, website, is_last_attempt)
    if not is_last_attempt:
        raise_if_unavailable([home])
    final = home.final_url
    domain = registrable_domain(final)
    start = registrable_domain(website)
    # A link of a shortener or on a free host leads here; its domain is that of everybody else there, too.
    aliases = (start,) if start and start != domain and is_company_domain(start) else ()
    if home.status != "ok" or is_parked(home.text):
        problem: SiteProblem = "blocked" if home.status == "blocked" else "no_site"
        detail = "parked" if home.status == "ok" else home.reason or home.status
        return SiteReading(problem, detail, domain, final, aliases, (), detect_pms([], site_problem=problem))
    home_html = await gateway.page_body(home)
    likely = [await _fetch(gateway, url, is_last_attempt) for url in likely_pages(home_html, final)]
    if not is_last_attempt:
        raise_if_unavailable(likely)
    pages = [home]
    for page in likely:
        if page.status == "ok" and all(page.page_hash != other.page_hash for other in pages):
            pages.append(page)
    if not any(addresses_in(page.text) for page in pages):
        pages += await _contact_page(gateway, home, domain, is_last_attempt)
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
    """Say that a step is to be tried again, if one of the pages that it rests on failed for a reason that may pass.

    Raises:
        HostBusyError: our own pace left no time for one of them.
        SiteUnavailableError: so it is. The next attempt asks for all of them again.
    """
    pages = list(pages)
    busy = next((page for page in pages if page.reason == "rate_limit_timeout"), None)
    if busy is not None:
        raise HostBusyError(registrable_domain(busy.final_url))
    failed = [(page, pause_s) for page in pages if (pause_s := retry_in_s(page)) is not None]
    if failed:
        site = registrable_domain(failed[0][0].final_url)
        raise SiteUnavailableError(
            site, (page.reason or page.status for page, _ in failed), max(pause_s for _, pause_s in failed)
        )


async def _fetch(gateway: ToolGateway, url: str, is_last_attempt: bool) -> ToolResult:
    page = await gateway.fetch_page(url, once=not is_last_attempt)
    if page.reason == "rate_limit_timeout":  # left out, it would turn "not read" into "no software found"
        raise HostBusyError(registrable_domain(page.final_url))
    return page


async def _contact_page(
    gateway: ToolGateway, home: ToolResult, domain: str | None, is_last_attempt: bool
) -> list[ToolResult]:
    for words, url in re.findall(r"\[([^\]]*)\]\((https?://[^)\s]+)\)", home.text):
        if _CONTACT_LINK.search(f"{words} {url}") and registrable_domain(url) == domain:
            page = await _fetch(gateway, url, is_last_attempt)
            if not is_last_attempt:
                raise_if_unavailable([page])
            return [page] if page.status == "ok" else []
    return []


def _root(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0]}/"


def is_parked(text: str) -> bool:
    """Whether a page's text is that of a domain for sale, or of a site that is not there (yet or any more)."""
    return len(text) <= _PARKED_TEXT_MAX and _PARKED.search(text) is not None


def _office_phones(pages: Iterable[ToolResult]) -> tuple[str, ...]:
    """Numbers that stand on every page read (footer or header), which a person's own number does not."""
    by_page = [phones_in(page.text) for page in pages]
    return tuple(phone for phone in by_page[0] if all(phone in phones for phones in by_page)) if by_page else ()
