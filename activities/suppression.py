"""Check whether a company is on a list of companies that must not be delivered.

The lists are the request's domains, forgotten companies, the stored list, and HubSpot if configured. If a list cannot be
read, the check raises an error and the company is not delivered. No model is involved.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.company import FORGOTTEN, end_company, short_of_contacts, suppressed
from activities.heartbeats import heartbeating
from crm.hubspot import HubSpotAccessDeniedError, HubSpotCompanies, HubSpotUnavailableError
from domain.activity_io import SuppressionCheckInput, SuppressionCheckResult
from domain.company.criteria_verdicts import CriteriaResult
from domain.company.excluded_sites import excluded_site_kind
from domain.company.facts import CompanyFacts
from domain.company.hosts import normalized_host, registrable_domain
from domain.company.pms_vendors import PortalAccount
from domain.delivery.selection_digest import selection_digest
from domain.failures import HUBSPOT_ACCESS_DENIED, HUBSPOT_UNAVAILABLE
from pms.accounts import is_account_host, portal_address
from settings import Settings
from store.companies import companies, suppressions, withdrawn
from store.companies.companies import CompanyRow
from store.database import Connection, Database
from store.delivery import export_rows
from store.erasure import forgotten

_RETRY_DELAY_MAX_S = 300.0


class SuppressionActivities:
    def __init__(self, database: Database, settings: Settings, hubspot: HubSpotCompanies | None = None) -> None:
        self._database = database
        self._check = SuppressionCheck(settings, hubspot)

    @activity.defn
    async def recheck_suppression(self, params: SuppressionCheckInput) -> SuppressionCheckResult:
        """Withdraw selected companies that are now suppressed, or short of contacts because people were forgotten.

        The result also contains complete companies that were forgotten. Safe to run twice: one transaction withdraws all, and a
        retry reports them again.
        """
        request, check = params.request, f"suppression check {params.check}"
        async with self._database.transaction() as conn:
            selected = await companies.complete_in_order(conn, request.run_id, request.target_quantity)
            loaded = [await _load(conn, company_id) for company_id in selected]
        found: list[tuple[CompanyRow, CriteriaResult]] = []
        with heartbeating():
            await self._check.prefetch([identifiers for _, identifiers in loaded])
            for company, identifiers in loaded:
                async with self._database.transaction() as conn:
                    reason = await self._check.reason(conn, identifiers, request.criteria.suppress_domains)
                    people = await export_rows.count_selected_contacts(conn, [company.company_id])
                if reason is not None:
                    found.append((company, suppressed(reason)))
                elif people < request.contacts_min:
                    found.append((company, short_of_contacts(people, request.contacts_min)))
        async with self._database.transaction() as conn:
            for company_id in await withdrawn.list_forgotten_since(conn, request.run_id):
                await withdrawn.record(conn, request.run_id, company_id, check)
            for company, decided in found:
                await end_company(conn, company, decided)
                await withdrawn.record(conn, request.run_id, company.company_id, check)
            taken = tuple(await withdrawn.list_withdrawn(conn, request.run_id, check))
        return SuppressionCheckResult(companies=taken, passed_digest="" if taken else selection_digest(selected))


async def _load(conn: Connection, company_id: UUID) -> tuple[CompanyRow, "CompanyIdentifiers"]:
    company = await companies.get_company(conn, company_id)
    research = await companies.get_research(conn, company_id)
    return company, identifiers_of(company, research.facts if research else CompanyFacts())


class CompanyIdentifiers(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    domains: tuple[str, ...]  # own domain, aliases and portal hosts, normalized
    states: tuple[str, ...]  # matched together with the name


def identifiers_of(company: CompanyRow, facts: CompanyFacts, more_domains: Sequence[str] = ()) -> CompanyIdentifiers:
    """Return a company's identifiers. ``more_domains`` were just read on its site and are not stored yet."""
    link_host = normalized_host(company.url) if company.url else None
    quoted_host = normalized_host(facts.pms_evidence.quote) if facts.pms_evidence else None  # the portal's address
    domains = {company.domain, *company.aliases, *more_domains, link_host, quoted_host, _portal_host(facts)}
    states = {company.state, *(place.state for place in facts.places)}
    return CompanyIdentifiers(
        name=company.name,
        domains=tuple(sorted(domain for domain in domains if domain)),
        states=tuple(sorted(state for state in states if state)),
    )


def _portal_host(facts: CompanyFacts) -> str | None:
    """Return the host of the company's portal. Needed if the PMS evidence is a script, not an address."""
    if facts.pms is None or facts.pms_slug is None:
        return None
    address = portal_address(PortalAccount(vendor=facts.pms, slug=facts.pms_slug))
    host = normalized_host(address) if address else None
    return host if host and is_account_host(host) else None


class SuppressionCheck:
    """Decides whether a company is suppressed. Runs when it is qualified, and again just before delivery."""

    def __init__(self, settings: Settings, hubspot: HubSpotCompanies | None = None) -> None:
        self._contacted_days = settings.suppression_contacted_days
        self._hubspot = hubspot

    async def prefetch(self, companies: Sequence[CompanyIdentifiers]) -> None:
        """Ask HubSpot before the transaction, so that ``reason`` finds the answer in memory. Raises the same errors."""
        if self._hubspot is not None:
            with _hubspot_failures():
                await self._hubspot.look_up([domain for company in companies for domain in _asked_of_crm(company)])

    async def reason(self, conn: Connection, company: CompanyIdentifiers, requested: Sequence[str]) -> str | None:
        """Return ``forgotten``, ``request``, ``customer``, ``contacted`` or ``do_not_contact``; None if not suppressed.

        Args:
            requested: domains that the request excludes.

        Raises:
            psycopg.Error: the stored list could not be read.
            ApplicationError: HubSpot could not be read (retryable) or denied access (not retryable).
        """
        if await forgotten.forgotten_domains(conn, company.domains):
            return FORGOTTEN
        if set(company.domains) & set(requested):
            return "request"
        listed = await suppressions.find_match(
            conn, company.domains, company.name, company.states, self._contacted_days
        )
        if listed is not None or self._hubspot is None:
            return listed
        with _hubspot_failures():
            return await self._hubspot.reason(_asked_of_crm(company), self._contacted_days)


def _asked_of_crm(company: CompanyIdentifiers) -> list[str]:
    """Return domains of this company alone. A host that a vendor's customers share would suppress all of them."""
    names = (
        name if is_account_host(name) else registrable_domain(name)
        for name in company.domains
        if is_account_host(name) or excluded_site_kind(name) is None
    )
    return list(dict.fromkeys(name for name in names if name))


@contextmanager
def _hubspot_failures() -> Iterator[None]:
    try:
        yield
    except HubSpotAccessDeniedError as error:
        raise ApplicationError(str(error), type=HUBSPOT_ACCESS_DENIED, non_retryable=True) from error
    except HubSpotUnavailableError as error:
        pause_s = error.retry_after_s
        delay = timedelta(seconds=min(pause_s, _RETRY_DELAY_MAX_S)) if pause_s is not None else None
        raise ApplicationError(str(error), type=HUBSPOT_UNAVAILABLE, next_retry_delay=delay) from error
