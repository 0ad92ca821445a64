"""Find a company's own website from a link, a portal, a directory profile, or only a name.

A portal does not identify a site. The site itself must show the same account, phone or name.
"""

from domain.company.excluded_sites import ExcludedSiteKind, excluded_site_kind
from domain.company.hosts import registrable_domain
from domain.company.identity import normalized_company_name, phones_in
from domain.company.places import normalized_city
from pms.rules import portal_account
from store.companies.companies import CompanyRow
from web.company_site import SiteReading, SiteUnavailableError, read_site
from web.gateway import ToolGateway

_HITS_TRIED_MAX = 4


async def find_website(gateway: ToolGateway, company: CompanyRow, *, is_last_attempt: bool) -> SiteReading | None:
    """Return the website as read, perhaps with a problem, or None if none is found.

    Raises:
        SiteUnavailableError: a site did not answer. Not raised in the last attempt.
        HostBusyError: our rate limit left no time for the site.
    """
    if company.url and portal_account(company.url) is None:
        # Start at the home page, which has the portal links. A directory may link to another page.
        is_free_host = excluded_site_kind(company.url) is ExcludedSiteKind.FREE_HOST
        start = company.url if is_free_host else _root(company.url)
        reading = await read_site(gateway, start, is_last_attempt=is_last_attempt)
        domain = reading.domain
        if domain is not None and excluded_site_kind(domain) is None and portal_account(reading.website) is None:
            return reading
    return await _search(gateway, company, is_last_attempt)


async def _search(gateway: ToolGateway, company: CompanyRow, is_last_attempt: bool) -> SiteReading | None:
    place = " ".join(part for part in (company.city, company.state) if part)
    search = await gateway.search_web(f"{company.name} {place}".strip())
    hits: dict[str, str] = {}
    for hit in search.payload.get("results", []):
        domain = registrable_domain(hit["url"])
        if (
            domain is not None
            and excluded_site_kind(domain) is None
            and portal_account(hit["url"]) is None
            and domain != registrable_domain(company.discovery_source)
        ):
            hits.setdefault(domain, hit["url"])
    unavailable: SiteUnavailableError | None = None
    for url in list(hits.values())[:_HITS_TRIED_MAX]:
        try:
            reading = await read_site(gateway, _root(url), is_last_attempt=is_last_attempt)
        except SiteUnavailableError as error:  # another hit may still be the company's site
            unavailable = error
            continue
        if reading.problem is None and _is_site_of(company, reading):
            return reading
    if unavailable is not None:
        raise unavailable
    return None


def _is_site_of(company: CompanyRow, reading: SiteReading) -> bool:
    account = portal_account(company.url) if company.url else None
    if account is not None:
        return any(
            signal.vendor == account.vendor and signal.slug == account.slug for signal in reading.detection.signals
        )
    if company.phone and any(company.phone in phones_in(page.text) for page in reading.pages):
        return True
    # A directory names many companies in its text, so only the title counts.
    title = normalized_company_name(str(reading.pages[0].payload["title"]))
    cities = {normalized_city(place.city) for place, _ in reading.places() if place.city}
    is_named = normalized_company_name(company.name) in title
    return is_named and company.city is not None and normalized_city(company.city) in cities


def _root(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0]}/"
