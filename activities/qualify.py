"""Qualify a company with code only: find its website, check suppression and duplicates, and judge place and software."""

from datetime import UTC, datetime
from uuid import UUID

from temporalio import activity

from activities.attempts import is_last_attempt
from activities.company import FORGOTTEN, end_company, end_forgotten_company, end_unless_found, suppressed
from activities.heartbeats import heartbeating
from activities.suppression import SuppressionCheck, identifiers_of
from activities.website import find_website
from crm.hubspot import HubSpotCompanies
from domain.activity_io import CompanyInput, CompanyOutcome
from domain.company.criteria_verdicts import (
    SETTLED_BEFORE_RESEARCH,
    CriteriaResult,
    combine_verdicts,
    grade_for_criteria,
    judge_criteria,
)
from domain.company.facts import CompanyFacts
from domain.company.hosts import registrable_domain
from domain.company.identity import IdentityKeys
from domain.company.status import CompanyStatus, ReasonCode
from domain.request.criteria import Criteria
from pms.facts import ReadPage, apply_detection
from settings import Settings
from store.companies import companies
from store.companies.companies import CompanyRow, ResearchRow, SitePageRef
from store.companies.research_cache import cache_site
from store.database import Connection, Database
from store.erasure import forgotten
from web.company_site import SiteReading
from web.gateway import ToolGateway


class QualificationActivities:
    def __init__(
        self, database: Database, gateway: ToolGateway, settings: Settings, hubspot: HubSpotCompanies | None = None
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._suppression = SuppressionCheck(settings, hubspot)

    @activity.defn
    async def qualify_company(self, params: CompanyInput) -> CompanyOutcome:
        """Store the company's site, identity and first verdicts, or why it ended.

        Safe to run twice: pages come from the cache, identity keys are claimed once, and the end is overwritten.

        Raises:
            SiteUnavailableError, HostBusyError: as ``find_website``.
        """
        async with self._database.transaction() as conn:
            company = await companies.get_company(conn, params.company.company_id)
            research = await companies.get_research(conn, company.company_id)
        if company.status is not CompanyStatus.FOUND:  # an earlier attempt ended it
            return CompanyOutcome(status=company.status, reason=company.reason)
        with heartbeating():
            reading = await find_website(self._gateway, company, is_last_attempt=is_last_attempt())
        async with self._database.transaction() as conn:
            if await forgotten.forgotten_domains(conn, _domains_read(company, reading)):
                return await end_forgotten_company(conn, company)
            if reading is None or reading.domain is None or reading.problem is not None:
                return await end_company(conn, company, _unusable(reading))
        site = _read_facts(reading)
        judged = research if research is not None and research.researched else site  # keep an earlier round's research
        identifiers = identifiers_of(company, judged.facts, _site_hosts(reading))
        with heartbeating():
            await self._suppression.prefetch([identifiers])
        async with self._database.transaction() as conn:
            # Store facts and identity together, because duplicates are found by name and the city in the facts.
            await companies.lock_run(conn, company.run_id)
            reason = await self._suppression.reason(conn, identifiers, params.request.criteria.suppress_domains)
            if reason == FORGOTTEN:
                return await end_forgotten_company(conn, company)
            await companies.set_own_site(conn, company.company_id, reading.domain, reading.website, reading.aliases)
            if reason is None:
                identity = _identity(company, reading, judged.facts)
                owner = await companies.claim_identity(conn, company.run_id, company.company_id, identity)
                if owner is not None:
                    return await end_company(conn, company, _duplicate_of(owner), duplicate_of=owner)
            await cache_site(conn, company.company_id, site.facts, site.pages, datetime.now(UTC))
            if reason is not None:
                return await end_company(conn, company, suppressed(reason))
            return await _store_and_judge(conn, params.request.criteria, company, judged)


async def _store_and_judge(
    conn: Connection, criteria: Criteria, company: CompanyRow, research: ResearchRow
) -> CompanyOutcome:
    icp = grade_for_criteria(criteria, research.facts) if research.researched else None
    verdicts = judge_criteria(criteria, research.facts, icp)
    await companies.save_research(
        conn,
        company.run_id,
        company.company_id,
        research.facts,
        verdicts,
        icp,
        pages=research.pages,
        dropped=None,
        researched=research.researched,
    )
    early = tuple(verdict for verdict in verdicts if verdict.criterion in SETTLED_BEFORE_RESEARCH)
    return await end_unless_found(conn, company, combine_verdicts(criteria, early, None, final=True))


def _read_facts(reading: SiteReading) -> ResearchRow:
    places = reading.places()
    facts = CompanyFacts(
        places=tuple(place for place, _ in places), place_evidence=tuple(evidence for _, evidence in places)
    )
    pages = [ReadPage(page.result_id, str(page.payload["url"]), page.final_url) for page in reading.pages]
    return ResearchRow(
        facts=apply_detection(facts, reading.detection, pages),
        pages=tuple(SitePageRef(url=page.final_url, title=str(page.payload["title"])) for page in reading.pages),
    )


def _duplicate_of(owner: UUID) -> CriteriaResult:
    return CriteriaResult(status=CompanyStatus.DUPLICATE, reason=ReasonCode.DUPLICATE, detail=str(owner))


def _unusable(reading: SiteReading | None) -> CriteriaResult:
    if reading is None or reading.domain is None:
        return CriteriaResult(status=CompanyStatus.REJECTED, reason=ReasonCode.NO_OWN_DOMAIN)
    reason = ReasonCode.SITE_BLOCKED if reading.problem == "blocked" else ReasonCode.SITE_DEAD
    return CriteriaResult(status=CompanyStatus.REJECTED, reason=reason, detail=reading.detail)


def _domains_read(company: CompanyRow, reading: SiteReading | None) -> set[str]:
    link = registrable_domain(company.url) if company.url else None
    return {*identifiers_of(company, CompanyFacts(), (link or "",)).domains, *(_site_hosts(reading) if reading else ())}


def _site_hosts(reading: SiteReading) -> tuple[str, ...]:
    """Return the company's own domains and its portal hosts."""
    hosts = (signal.host for signal in reading.detection.signals)
    return (reading.domain or "", *reading.aliases, *hosts)


def _identity(company: CompanyRow, reading: SiteReading, facts: CompanyFacts) -> IdentityKeys:
    account = f"{facts.pms}:{facts.pms_slug}" if facts.pms and facts.pms_slug else None
    place = facts.places[0] if facts.places else None
    return IdentityKeys(
        domains=tuple(sorted({domain for domain in (reading.domain, *reading.aliases, *company.aliases) if domain})),
        portal_accounts=(account,) if account else (),
        phones=reading.office_phones[:1],
        name=company.name,
        city=place.city if place else None,
        state=place.state if place else None,
    )
