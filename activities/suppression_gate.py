"""The one gate before a delivery (DOMAIN, "Suppression"): is this company on a list of those never to be delivered?

Lists are the domains of the request, those who are forgotten, the stored list, and HubSpot where it is set. The gate fails
closed: whatever keeps it from reading a list is raised, and the company is held back (LESSONS F68, F69). The model never sees one.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

from pydantic import BaseModel, ConfigDict
from temporalio.exceptions import ApplicationError

from crm.hubspot import HubSpotAccessDeniedError, HubSpotCompanies, HubSpotUnavailableError
from domain.company.excluded_sites import excluded_site_kind
from domain.company.facts import CompanyFacts
from domain.company.hosts import normalized_host, registrable_domain
from domain.company.pms_vendors import PortalAccount
from domain.failures import HUBSPOT_ACCESS_DENIED, HUBSPOT_UNAVAILABLE
from pms.accounts import is_account_host, portal_address
from settings import Settings
from store.companies import suppressions
from store.companies.companies import CompanyRow
from store.database import Connection
from store.erasure import forgotten

FORGOTTEN = "forgotten"
_RETRY_DELAY_MAX_S = 300.0


class KnownAs(BaseModel):
    """All that a company is known by.

    Attributes:
        domains: own domain, aliases and portal hosts, in normal form, sorted.
        states: of its offices and as its source gives it; each goes with the name.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    domains: tuple[str, ...]
    states: tuple[str, ...]


def known_as(company: CompanyRow, facts: CompanyFacts, more_domains: Sequence[str] = ()) -> KnownAs:
    """A company as the gate asks for it; ``more_domains`` are those just read on its site and not stored yet."""
    portal_host = normalized_host(company.url) if company.url else None
    # Of the software's portal: the page's own words hold its address.
    proven_host = normalized_host(facts.pms_evidence.quote) if facts.pms_evidence else None
    domains = {company.domain, *company.aliases, *more_domains, portal_host, proven_host, _account_host(facts)}
    states = {company.state, *(place.state for place in facts.places)}
    return KnownAs(
        name=company.name,
        domains=tuple(sorted(domain for domain in domains if domain)),
        states=tuple(sorted(state for state in states if state)),
    )


def _account_host(facts: CompanyFacts) -> str | None:
    """The host of the company's own portal, also where the proof is a script's words and no address."""
    if facts.pms is None or facts.pms_slug is None:
        return None
    address = portal_address(PortalAccount(vendor=facts.pms, slug=facts.pms_slug))
    host = normalized_host(address) if address else None
    return host if host and is_account_host(host) else None


class SuppressionGate:
    """Asked when a company is qualified, and for every company again just before the export."""

    def __init__(self, settings: Settings, hubspot: HubSpotCompanies | None = None) -> None:
        self._contacted_days = settings.suppression_contacted_days
        self._hubspot = hubspot

    async def prepare(self, companies: Sequence[KnownAs]) -> None:
        """Ask HubSpot beforehand, so that ``reason`` does not keep a transaction waiting for it. Raises what ``reason`` raises."""
        if self._hubspot is None:
            return
        try:
            await self._hubspot.look_up([domain for company in companies for domain in _asked_of_crm(company)])
        except (HubSpotUnavailableError, HubSpotAccessDeniedError) as error:
            _raise_for_temporal(error)

    async def reason(self, conn: Connection, company: KnownAs, requested: Sequence[str]) -> str | None:
        """Why a company must not be delivered: ``forgotten`` (nor stored), ``request``, ``customer``, ``contacted`` or
        ``do_not_contact``; None to let it pass.

        Args:
            requested: domains that the request itself excludes.

        Raises:
            psycopg.Error: the stored list could not be read.
            ApplicationError: HubSpot could not be read (``HubSpotUnavailableError``, to be tried again), or refuses us
                (``HubSpotAccessDeniedError``, not retryable).
        """
        if await forgotten.domains_among(conn, company.domains):
            return FORGOTTEN
        if set(company.domains) & set(requested):
            return "request"
        listed = await suppressions.find_match(
            conn, company.domains, company.name, company.states, self._contacted_days
        )
        if listed is not None or self._hubspot is None:
            return listed
        try:
            return await self._hubspot.reason(_asked_of_crm(company), self._contacted_days)
        except (HubSpotUnavailableError, HubSpotAccessDeniedError) as error:
            _raise_for_temporal(error)


def _asked_of_crm(company: KnownAs) -> list[str]:
    """Domains that mean this company and no other: a host that all customers of a vendor share would suppress them all."""
    names = (
        name if is_account_host(name) else registrable_domain(name)
        for name in company.domains
        if is_account_host(name) or excluded_site_kind(name) is None
    )
    return list(dict.fromkeys(name for name in names if name))


def _raise_for_temporal(error: HubSpotUnavailableError | HubSpotAccessDeniedError) -> NoReturn:
    if isinstance(error, HubSpotAccessDeniedError):
        raise ApplicationError(str(error), type=HUBSPOT_ACCESS_DENIED, non_retryable=True) from error
    pause_s = error.retry_after_s
    delay = timedelta(seconds=min(pause_s, _RETRY_DELAY_MAX_S)) if pause_s is not None else None
    raise ApplicationError(str(error), type=HUBSPOT_UNAVAILABLE, next_retry_delay=delay) from error
