"""Research a company: reuse known facts or ask an agent, prove the claims, and judge the company."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from temporalio import activity

from activities.company import (
    agent_call_subject,
    ask_about_company,
    end_company,
    end_forgotten_company,
    end_unless_found,
    own_domains,
)
from agents.loop import AgentAnswer, AgentRunner
from agents.roles import company_research
from agents.roles.company_research import RESEARCH_VERSION, ResearchOutput
from agents.site_pages import RESEARCH_PAGES
from domain.activity_io import CompanyInput, CompanyOutcome, Spend
from domain.company.criteria_verdicts import CriteriaResult, combine_verdicts, grade_for_criteria, judge_criteria
from domain.company.facts import CompanyFacts
from domain.company.icp import grade_icp
from domain.company.status import CompanyStatus, ReasonCode
from domain.request.criteria import Criteria
from grounding.company_facts import proven_facts
from grounding.follow_up import follow_up_rule, missing_fields
from settings import Settings
from store.companies import companies
from store.companies.companies import CompanyRow, ResearchRow
from store.companies.research_cache import CachedResearch, cache_research, find_fresh_research, lacks_researched_facts
from store.database import Database
from store.erasure import forgotten
from store.runs import audit, runs
from web.gateway import ToolGateway

log = structlog.get_logger()


class ResearchActivities:
    def __init__(self, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings) -> None:
        self._database = database
        self._gateway = gateway
        self._runner = runner
        self._settings = settings

    @activity.defn
    async def research_company(self, params: CompanyInput) -> CompanyOutcome:
        """Store a company's facts, grade and verdicts, and end it if the criteria reject it.

        Fresh research of any run is reused, except places and software, which were just read. Safe to run twice: agent turns are
        stored as they arrive, and new facts replace earlier ones.

        Raises:
            ApplicationError, SiteUnavailableError: as ``ask_about_company``.
        """
        criteria = params.request.criteria
        async with self._database.transaction() as conn:
            company = await companies.get_company(conn, params.company.company_id)
            research = await companies.get_research(conn, company.company_id)
            cached = await find_fresh_research(
                conn, company.website, version=RESEARCH_VERSION, days=self._settings.known_company_days
            )
            # An earlier attempt may have paid for an answer without reporting it.
            subject, role = agent_call_subject(params), company_research.ROLE.name
            is_retry = activity.info().attempt > 1
            spent = await runs.spend_on(conn, company.run_id, subject, role) if is_retry else Spend()
        if research is None:
            raise LookupError(f"company {company.company_id} has not been qualified")
        if company.status is not CompanyStatus.FOUND:  # it ended or was forgotten: buy nothing
            return CompanyOutcome(status=company.status, reason=company.reason, spend=spent)
        if research.researched:
            found = _Findings(research.facts, spent)
        elif cached is not None and not _has_new_questions(criteria, cached, research.facts):
            found = _Findings(cached.with_site_facts(research.facts), reused=cached)
        else:
            answer = await self._ask(params, company, research)
            if answer.interruption is not None:
                return CompanyOutcome(spend=answer.spend, interruption=answer.interruption)
            if not isinstance(answer.output, ResearchOutput):
                decided = CriteriaResult(status=CompanyStatus.FAILED, reason=ReasonCode.NO_RESEARCH, detail=answer.stop)
                async with self._database.transaction() as conn:
                    return await end_company(conn, company, decided, spend=answer.spend)
            facts, dropped = proven_facts(research.facts, answer.output, answer.results, own_domains(company))
            is_new = not lacks_researched_facts(facts)
            found = _Findings(cached.fill_gaps_of(facts) if cached else facts, answer.spend, dropped, is_new=is_new)
        return await self._judge_and_store(criteria, company, research, found)

    async def _ask(self, params: CompanyInput, company: CompanyRow, research: ResearchRow) -> AgentAnswer:
        return await ask_about_company(
            self._runner,
            self._gateway,
            company_research.ROLE,
            params,
            company,
            research.pages,
            RESEARCH_PAGES,
            {"wanted": list(ResearchOutput.model_fields)},
            follow_up_rule(params.request.criteria, research.facts, own_domains(company)),
        )

    async def _judge_and_store(
        self, criteria: Criteria, company: CompanyRow, research: ResearchRow, found: "_Findings"
    ) -> CompanyOutcome:
        icp = grade_for_criteria(criteria, found.facts)
        verdicts = judge_criteria(criteria, found.facts, icp)
        async with self._database.transaction() as conn:
            if await forgotten.forgotten_domains(conn, own_domains(company)):  # while this activity ran
                return await end_forgotten_company(conn, company, found.spend)
            await companies.save_research(
                conn,
                company.run_id,
                company.company_id,
                found.facts,
                verdicts,
                icp,
                pages=research.pages,
                dropped=found.dropped,
                researched=True,
            )
            if found.reused is not None:
                key, detail = str(company.company_id), {"researched_at": found.reused.researched_at.isoformat()}
                await audit.record(
                    conn, company.run_id, "research_reused", key, company_id=company.company_id, detail=detail
                )
                log.info("research_reused", company=key, **detail)
            elif found.is_new:
                await cache_research(
                    conn,
                    company.company_id,
                    found.facts,
                    grade_icp(found.facts),  # without this request's criteria
                    version=RESEARCH_VERSION,
                    researched_at=datetime.now(UTC),
                    missing_fields=missing_fields(criteria, found.facts),
                )
            decided = combine_verdicts(criteria, verdicts, icp, final=True)
            return await end_unless_found(conn, company, decided, found.spend)


@dataclass(frozen=True)
class _Findings:
    facts: CompanyFacts
    spend: Spend = field(default_factory=Spend)
    dropped: dict[str, int] | None = None  # unproven claims per field and reason; None if no agent was asked
    reused: CachedResearch | None = None
    is_new: bool = False  # an answer without proven facts is not cached


def _has_new_questions(criteria: Criteria, cached: CachedResearch, site: CompanyFacts) -> bool:
    """Whether the criteria need an unknown fact that no earlier request looked for."""
    return not set(missing_fields(criteria, cached.with_site_facts(site))) <= set(cached.missing_fields)
