"""Finding a company's own site behind what a source gave: its link, a portal host, a directory profile, or just a name.

A portal host is evidence, never identity (DOMAIN, "Identity"): the site found must itself show the same account, phone or
name, otherwise the company has no own domain.
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


async def find_website(
    gateway: ToolGateway, company: CompanyRow, *, is_last_attempt: bool = False
) -> SiteReading | None:
    """The company's own site as read (perhaps with a problem), or None when none can be found.

    Args:
        is_last_attempt: as for ``read_site``.

    Raises:
        HostBusyError, SiteUnavailableError: as ``read_site``, for whichever site is tried.
    """
    account = portal_account(company.url) if company.url else None
    if company.url and account is None:
        # A list may link deep into a site; its portal links stand on the home page.
        is_shared_host = excluded_site_kind(company.url) is ExcludedSiteKind.FREE_HOST
        start = company.url if is_shared_host else _root(company.url)
        reading = await read_site(gateway, start, is_last_attempt=is_last_attempt)
        moved_to = reading.domain
        if moved_to is not None and excluded_site_kind(moved_to) is None and portal_account(reading.website) is None:
            return reading
    return await _search(gateway, company, is_last_attempt)


async def _search(gateway: ToolGateway, company: CompanyRow, is_last_attempt: bool) -> SiteReading | None:
    place = " ".join(part for part in (company.city, company.state) if part)
    search = await gateway.search_web(f"{company.name} {place}".strip())
    tried: set[str] = set()
    unsteady: SiteUnavailableError | None = None
    for hit in search.payload.get("results", []):
        domain = registrable_domain(hit["url"])
        if domain is None or domain in tried or excluded_site_kind(domain) is not None:
            continue
        if portal_account(hit["url"]) is not None or domain == registrable_domain(company.discovery_source):
            continue
        if len(tried) == _HITS_TRIED_MAX:
            break
        tried.add(domain)
        try:
            reading = await read_site(gateway, _root(hit["url"]), is_last_attempt=is_last_attempt)
        except SiteUnavailableError as error:  # another hit may be the company's site all the same
            unsteady = error
            continue
        if reading.problem is None and _is_site_of(company, reading):
            return reading
    if unsteady is not None:
        raise unsteady
    return None


def _is_site_of(company: CompanyRow, reading: SiteReading) -> bool:
    account = portal_account(company.url) if company.url else None
    if account is not None:
        return any(
            signal.vendor == account.vendor and signal.slug == account.slug for signal in reading.detection.signals
        )
    if company.phone and any(company.phone in phones_in(page.text) for page in reading.pages):
        return True
    home = reading.pages[0]
    # Directories name many companies in their text, but only the company itself in its title.
    named = normalized_company_name(company.name) in normalized_company_name(str(home.payload["title"]))
    cities = {normalized_city(place.city) for place, _ in reading.places() if place.city}
    return named and company.city is not None and normalized_city(company.city) in cities


def _root(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0]}/"
