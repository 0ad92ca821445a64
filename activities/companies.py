"""The steps on one company: qualify it without any model, research it, judge it, and end it."""

from datetime import UTC, datetime
from uuid import UUID

import structlog
from temporalio import activity

from activities.attempts import is_last_attempt
from activities.heartbeats import heartbeating
from activities.own_site import find_own_site
from activities.suppression_gate import FORGOTTEN, KnownAs, SuppressionGate, known_as
from agents.loop import AgentRunner
from agents.roles import company_research
from agents.roles.company_research import RESEARCH_VERSION, ResearchOutput
from agents.site_pages import RESEARCH_PAGES, choose_pages
from crm.hubspot import HubSpotCompanies
from domain.activity_io import CompanyInput, CompanyOutcome, Spend, SuppressionCheckInput, SuppressionCheckResult
from domain.company.criteria_verdicts import (
    SETTLED_BEFORE_RESEARCH,
    CriteriaResult,
    combine_verdicts,
    grade_for_criteria,
    judge_criteria,
)
from domain.company.facts import CompanyFacts
from domain.company.hosts import registrable_domain
from domain.company.icp import grade_icp
from domain.company.identity import IdentityKeys
from domain.company.status import CompanyStatus, ReasonCode
from domain.delivery.selection import selection_digest
from domain.request.criteria import Criteria
from grounding.company_facts import proven_facts
from grounding.follow_up import follow_up_rule, missing_fields
from pms.facts import ReadPage, apply_detection
from settings import Settings
from store.companies import companies, withdrawn
from store.companies.companies import CompanyRow, SitePageRef
from store.companies.research_cache import (
    CachedResearch,
    cache_research,
    cache_site,
    find_fresh_research,
    lacks_researched_facts,
)
from store.database import Connection, Database
from store.delivery import export_rows
from store.erasure import erase, forgotten
from store.runs import audit, runs
from web.company_site import SiteReading
from web.gateway import ToolGateway

log = structlog.get_logger()


class CompanyActivities:
    """One company at a time. Every step reads its input from the database and leaves its result there."""

    def __init__(
        self,
        database: Database,
        gateway: ToolGateway,
        runner: AgentRunner,
        settings: Settings,
        hubspot: HubSpotCompanies | None = None,
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._runner = runner
        self._settings = settings
        self._gate = SuppressionGate(settings, hubspot)

    @activity.defn
    async def qualify_company(self, params: CompanyInput) -> CompanyOutcome:
        """Own domain, alive, suppression, duplicate, place and software: all that code can settle before a model is paid.

        Safe to run twice: pages come from the cache, identity keys are claimed once, the end is overwritten.

        Raises:
            ApplicationError: a site that it rests on did not answer as it should (``SiteUnavailableError``; not in the last
                attempt, which takes it for what it seems to be), or our own pace left no time for it (``HostBusyError``).
        """
        async with self._database.transaction() as conn:
            company = await companies.get_company(conn, params.company.company_id)
            research = await companies.get_research(conn, company.company_id)
        if company.status is not CompanyStatus.FOUND:
            # A step that ended the company before its worker died: tell the workflow what it wrote.
            return CompanyOutcome(status=company.status, reason=company.reason)
        with heartbeating():
            reading = await find_own_site(self._gateway, company, is_last_attempt=is_last_attempt())
        if await self._is_forgotten(company, reading):
            return await self._end_forgotten(company)
        if reading is None or reading.domain is None:
            return await self._end(company, CompanyStatus.REJECTED, ReasonCode.NO_OWN_DOMAIN)
        if reading.problem == "blocked":
            return await self._end(company, CompanyStatus.REJECTED, ReasonCode.SITE_BLOCKED, reading.detail)
        if reading.problem is not None:
            return await self._end(company, CompanyStatus.REJECTED, ReasonCode.SITE_DEAD, reading.detail)
        facts = site_facts = _facts_of_site(reading)
        if research is not None and research.researched:
            facts = research.facts  # judged anew after a decision: what was researched stands
        known = known_as(company, facts, _site_domains(reading))
        with heartbeating():
            await self._gate.prepare([known])
        pages = [SitePageRef(url=page.final_url, title=str(page.payload["title"])) for page in reading.pages]
        icp = (
            grade_for_criteria(params.request.criteria, facts) if research is not None and research.researched else None
        )
        verdicts = judge_criteria(params.request.criteria, facts, icp)
        async with self._database.transaction() as conn:
            # One at a time, and the facts with the claim: a twin is known by its name and the city in its facts.
            await companies.lock_run(conn, company.run_id)
            suppressed = await self._gate.reason(conn, known, params.request.criteria.suppress_domains)
            owner = None
            if suppressed != FORGOTTEN:
                await companies.set_own_site(conn, company.company_id, reading.domain, reading.website, reading.aliases)
            if suppressed is None:
                owner = await companies.claim_identity(
                    conn, company.run_id, company.company_id, _identity(company, reading, facts)
                )
            if suppressed is None and owner is None:
                await companies.save_research(
                    conn,
                    company.run_id,
                    company.company_id,
                    facts,
                    verdicts,
                    icp,
                    pages=research.pages if research and research.researched else pages,
                    dropped=None,
                    researched=bool(research and research.researched),
                )
            if owner is None and suppressed != FORGOTTEN:  # of a suppressed one too: it is a fact, not a delivery
                await cache_site(conn, company.company_id, site_facts, pages, datetime.now(UTC))
        if suppressed == FORGOTTEN:
            return await self._end_forgotten(company)
        if suppressed is not None:
            return await self._end(company, CompanyStatus.SUPPRESSED, ReasonCode.SUPPRESSED, suppressed)
        if owner is not None:
            return await self._end(company, CompanyStatus.DUPLICATE, ReasonCode.DUPLICATE, str(owner), owner)
        early = tuple(verdict for verdict in verdicts if verdict.criterion in SETTLED_BEFORE_RESEARCH)
        decided = combine_verdicts(params.request.criteria, early, None, final=True)
        return await self._decided(company, decided)

    @activity.defn
    async def research_company(self, params: CompanyInput) -> CompanyOutcome:
        """An agent reads the company's pages; code proves each claim, grades and judges.

        What any run has proven lately is taken as it is, and no agent asked; places and software are always as read just now.

        Raises:
            ApplicationError: the model's service failed (typed in ``agents/errors.py``), or the company's site, while attempts
                are left (``SiteUnavailableError``).
        """
        async with self._database.transaction() as conn:
            company = await companies.get_company(conn, params.company.company_id)
            research = await companies.get_research(conn, company.company_id)
            known = await find_fresh_research(
                conn, company.website, version=RESEARCH_VERSION, days=self._settings.known_company_days
            )
        if research is None:
            raise LookupError(f"company {company.company_id} has not been qualified")
        if company.status is not CompanyStatus.FOUND:
            # It has ended, perhaps by this step before its worker died: nothing is bought for it.
            return CompanyOutcome(status=company.status, reason=company.reason, spend=await self._spent_before(params))
        spend = await self._spent_before(params) if research.researched else Spend()
        facts, pages = research.facts, research.pages
        dropped: dict[str, int] | None = None
        asks = not research.researched and (known is None or _leaves_open(params.request.criteria, known, facts))
        reused = known if not research.researched and not asks else None
        if reused is not None:
            facts = reused.beside(facts)
        elif asks:
            with heartbeating() as on_turn:
                answer = await self._runner.run(
                    company_research.ROLE,
                    company.run_id,
                    _subject(params),
                    research_input(company, pages),
                    allowed_urls=[page.url for page in pages],
                    preload_urls=await choose_pages(
                        self._gateway,
                        [page.url for page in pages],
                        RESEARCH_PAGES,
                        own_domains(company),
                        is_last_attempt=is_last_attempt(),
                    ),
                    follow_up=follow_up_rule(params.request.criteria, facts, own_domains(company)),
                    on_turn=on_turn,
                )
            spend = answer.spend
            if answer.interruption is not None:
                return CompanyOutcome(spend=spend, interruption=answer.interruption)
            if not isinstance(answer.output, ResearchOutput):
                return await self._end(company, CompanyStatus.FAILED, ReasonCode.NO_RESEARCH, answer.stop, spend=spend)
            facts, dropped = proven_facts(facts, answer.output, answer.results, own_domains(company))
            proven_now = not lacks_researched_facts(facts)
            facts = known.below(facts) if known else facts
        icp = grade_for_criteria(params.request.criteria, facts)
        verdicts = judge_criteria(params.request.criteria, facts, icp)
        async with self._database.transaction() as conn:
            is_forgotten = bool(await forgotten.domains_among(conn, own_domains(company)))  # since this step has begun
            if not is_forgotten:
                await companies.save_research(
                    conn,
                    company.run_id,
                    company.company_id,
                    facts,
                    verdicts,
                    icp,
                    pages=pages,
                    dropped=dropped,
                    researched=True,
                )
                if reused is not None:
                    await self._record_reuse(conn, company, reused)
                elif asks and proven_now:  # an answer that proves nothing is nothing to reuse: the next run asks again
                    await cache_research(
                        conn,
                        company.company_id,
                        facts,
                        grade_icp(facts),  # without what this request alone makes of them
                        version=RESEARCH_VERSION,
                        researched_at=datetime.now(UTC),
                        missing_fields=missing_fields(params.request.criteria, facts),
                    )
        if is_forgotten:
            return await self._end_forgotten(company, spend)
        decided = combine_verdicts(params.request.criteria, verdicts, icp, final=True)
        return await self._decided(company, decided, spend)

    @activity.defn
    async def fail_company(self, params: CompanyInput) -> None:
        """End a company whose step failed for good, so that the run goes on without it."""
        async with self._database.transaction() as conn:
            company = await companies.get_company(conn, params.company.company_id)
        await self._end(company, CompanyStatus.FAILED, ReasonCode.STEP_FAILED)

    @activity.defn
    async def recheck_suppression(self, params: SuppressionCheckInput) -> SuppressionCheckResult:
        """Ask the gate again for the companies about to be delivered, and take out those that it names now, and those of which
        people were forgotten so that too few are left. Companies forgotten since they were complete are taken out already.

        Safe to run twice: all are taken out in one transaction, and what an earlier attempt took out is named again, for its
        run still counts it. Any error is raised: a list that cannot be read holds the delivery back (fails closed).
        """
        run_id, check = params.request.run_id, f"gate {params.check}"
        found: list[tuple[CompanyRow, CompanyStatus, ReasonCode, str]] = []
        async with self._database.transaction() as conn:
            selected = await companies.complete_in_order(conn, run_id, params.request.target_quantity)
            loaded = [await self._known(conn, company_id) for company_id in selected]
        with heartbeating():
            await self._gate.prepare([known for _, known in loaded])
            for company, known in loaded:
                async with self._database.transaction() as conn:
                    reason = await self._gate.reason(conn, known, params.request.criteria.suppress_domains)
                    people = await export_rows.contacts_selected(conn, [company.company_id])
                if reason is not None:
                    found.append((company, CompanyStatus.SUPPRESSED, ReasonCode.SUPPRESSED, reason))
                elif people < params.request.contacts_min:
                    detail = f"{people} of {params.request.contacts_min} contacts"
                    found.append((company, CompanyStatus.REJECTED, ReasonCode.CONTACTS_SHORT, detail))
        async with self._database.transaction() as conn:
            for company_id in await withdrawn.list_forgotten_since(conn, run_id):
                await withdrawn.record(conn, run_id, company_id, check)
            for company, status, code, detail in found:
                await _write_end(conn, company, status, code, detail)
                await withdrawn.record(conn, run_id, company.company_id, check)
            taken = tuple(await withdrawn.list_withdrawn(conn, run_id, check))
        return SuppressionCheckResult(companies=taken, passed_digest="" if taken else selection_digest(selected))

    async def _spent_before(self, params: CompanyInput) -> Spend:
        """What an earlier attempt of this very step has bought and could not tell its run any more. Not in a first attempt: there it may be
        a company that was reopened, whose run knows. So a step that is handed back between storing its result and telling of it stays
        out of the run's own count; ``status`` and the limits count what is stored."""
        if activity.info().attempt == 1:
            return Spend()
        async with self._database.transaction() as conn:
            return await runs.spend_on(conn, params.request.run_id, _subject(params), company_research.ROLE.name)

    async def _is_forgotten(self, company: CompanyRow, reading: SiteReading | None) -> bool:
        """Whether the company's link, or the site that it leads to, is one that is forgotten; it cannot be read then."""
        known = known_as(company, CompanyFacts(), (registrable_domain(company.url or "") or "",))
        found = _site_domains(reading) if reading is not None else ()
        async with self._database.transaction() as conn:
            return bool(await forgotten.domains_among(conn, {*known.domains, *found}))

    async def _end_forgotten(self, company: CompanyRow, spend: Spend | None = None) -> CompanyOutcome:
        """End a company that is forgotten, and keep nothing of it but that there was one."""
        async with self._database.transaction() as conn:
            await erase.empty_company(conn, company.company_id)
        return await self._end(company, CompanyStatus.SUPPRESSED, ReasonCode.SUPPRESSED, FORGOTTEN, spend=spend)

    async def _record_reuse(self, conn: Connection, company: CompanyRow, reused: CachedResearch) -> None:
        detail = {"researched_at": reused.researched_at.isoformat()}
        await audit.record(
            conn,
            company.run_id,
            "research_reused",
            str(company.company_id),
            company_id=company.company_id,
            detail=detail,
        )
        log.info("research_reused", company=str(company.company_id), **detail)

    async def _known(self, conn: Connection, company_id: UUID) -> tuple[CompanyRow, KnownAs]:
        company = await companies.get_company(conn, company_id)
        research = await companies.get_research(conn, company_id)
        return company, known_as(company, research.facts if research else CompanyFacts())

    async def _decided(
        self, company: CompanyRow, decided: CriteriaResult, spend: Spend | None = None
    ) -> CompanyOutcome:
        # The criteria alone are a person's to overrule; the gates before the delivery are not asked here.
        if decided.status is CompanyStatus.FOUND or company.accepted_by is not None:
            return CompanyOutcome(spend=spend or Spend())
        return await self._end(company, decided.status, decided.reason, decided.detail, spend=spend)

    async def _end(
        self,
        company: CompanyRow,
        status: CompanyStatus,
        reason: ReasonCode | None,
        detail: str = "",
        duplicate_of: UUID | None = None,
        spend: Spend | None = None,
    ) -> CompanyOutcome:
        async with self._database.transaction() as conn:
            await _write_end(conn, company, status, reason, detail, duplicate_of)
        return CompanyOutcome(status=status, reason=reason, spend=spend or Spend())


async def _write_end(
    conn: Connection,
    company: CompanyRow,
    status: CompanyStatus,
    reason: ReasonCode | None,
    detail: str = "",
    duplicate_of: UUID | None = None,
) -> None:
    await companies.end_company(conn, company.company_id, status, reason, detail, duplicate_of)
    await audit.record(
        conn,
        company.run_id,
        f"company_{status.value}",
        f"{company.company_id}/{reason}",
        company_id=company.company_id,
        detail={"reason": reason, "detail": detail},
    )
    log.info("company_ended", company=str(company.company_id), status=status.value, reason=reason)


def own_domains(company: CompanyRow) -> frozenset[str]:
    """Registrable domains that are the company's own."""
    names = (company.domain, *company.aliases)
    return frozenset(domain for name in names if name and (domain := registrable_domain(name)))


def research_input(company: CompanyRow, pages: tuple[SitePageRef, ...] | list[SitePageRef]) -> dict[str, object]:
    """The task of the research agent: the company and the pages code has read."""
    return {
        "task": "company_research",
        "company": company_input(company),
        "known_pages": [page.model_dump() for page in pages],
        "wanted": list(ResearchOutput.model_fields),
    }


def company_input(company: CompanyRow) -> dict[str, object]:
    """A company as an agent is told of it."""
    return {
        "name": company.name,
        "website": company.website,
        "domain": company.domain,
        "city": company.city,
        "state": company.state,
    }


def _subject(params: CompanyInput) -> str:
    return f"company {params.company.company_id} round {params.retry_round}"


def _leaves_open(criteria: Criteria, known: CachedResearch, site: CompanyFacts) -> bool:
    """Whether a request wants to know what is unknown of a company and has not been asked of its pages yet."""
    return not set(missing_fields(criteria, known.beside(site))) <= set(known.missing_fields)


def _site_domains(reading: SiteReading) -> tuple[str, ...]:
    """Every host that a site shows to be the company's: its own domains, and those of its software."""
    hosts = (signal.host for signal in reading.detection.signals)
    return (reading.domain or "", *reading.aliases, *hosts)


def _facts_of_site(reading: SiteReading) -> CompanyFacts:
    places = reading.places()
    facts = CompanyFacts(
        places=tuple(place for place, _ in places), place_evidence=tuple(evidence for _, evidence in places)
    )
    pages = [ReadPage(page.result_id, str(page.payload["url"]), page.final_url) for page in reading.pages]
    return apply_detection(facts, reading.detection, pages)


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
