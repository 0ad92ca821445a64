"""Shared by activities on one company: ask an agent about it, and end it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog

from activities.attempts import is_last_attempt
from activities.heartbeats import heartbeating
from agents.loop import AgentAnswer, AgentRunner, FollowUpRule
from agents.role import AgentRole
from agents.site_pages import choose_pages
from domain.activity_io import CompanyInput, CompanyOutcome, Spend
from domain.company.criteria_verdicts import CriteriaResult
from domain.company.hosts import registrable_domain
from domain.company.status import CompanyStatus, ReasonCode
from store.companies import companies
from store.companies.companies import CompanyRow, SitePageRef
from store.database import Connection
from store.erasure.erase import empty_company
from store.runs import audit
from web.gateway import ToolGateway

log = structlog.get_logger()

FORGOTTEN = "forgotten"


def own_domains(company: CompanyRow) -> frozenset[str]:
    names = (company.domain, *company.aliases)
    return frozenset(domain for name in names if name and (domain := registrable_domain(name)))


async def ask_about_company(
    runner: AgentRunner,
    gateway: ToolGateway,
    role: AgentRole,
    params: CompanyInput,
    company: CompanyRow,
    pages: Sequence[SitePageRef],
    page_kinds: Sequence[str],
    task: dict[str, Any],
    follow_up: FollowUpRule = lambda answer, results: None,
) -> AgentAnswer:
    """Run or continue an agent's conversation about a company.

    Args:
        pages: pages of the company's site that code has read.
        page_kinds: kinds of pages to open, as for ``choose_pages``.
        task: additional input for the role.

    Raises:
        ApplicationError: the model service failed (types in ``agents/errors.py``).
        SiteUnavailableError: the company's site did not answer. Not raised in the last attempt.
    """
    urls = [page.url for page in pages]
    with heartbeating() as on_turn:
        preload = await choose_pages(gateway, urls, page_kinds, own_domains(company), is_last_attempt=is_last_attempt())
        return await runner.run(
            role,
            company.run_id,
            agent_call_subject(params),
            {
                "task": role.name,
                "company": {name: getattr(company, name) for name in ("name", "website", "domain", "city", "state")},
                "known_pages": [page.model_dump() for page in pages],
                **task,
            },
            allowed_urls=urls,
            preload_urls=preload,
            follow_up=follow_up,
            on_turn=on_turn,
        )


def agent_call_subject(params: CompanyInput) -> str:
    """Return the key for storing the agent's turns. Each retry round has its own, so the agent starts over."""
    return f"company {params.company.company_id} round {params.retry_round}"


async def end_company(
    conn: Connection,
    company: CompanyRow,
    decided: CriteriaResult,
    *,
    duplicate_of: UUID | None = None,
    spend: Spend | None = None,
    audit_detail: dict[str, Any] | None = None,
) -> CompanyOutcome:
    """Store a company's end and its audit event. Safe to run twice: the event's key is the company and the reason."""
    status, reason = decided.status, decided.reason
    await companies.end_company(conn, company.company_id, status, reason, decided.detail, duplicate_of)
    await audit.record(
        conn,
        company.run_id,
        f"company_{status.value}",
        f"{company.company_id}/{reason}",
        company_id=company.company_id,
        detail=audit_detail or {"reason": reason, "detail": decided.detail},
    )
    log.info("company_ended", company=str(company.company_id), status=status.value, reason=reason)
    return CompanyOutcome(status=status, reason=reason, spend=spend or Spend())


async def end_unless_found(
    conn: Connection, company: CompanyRow, decided: CriteriaResult, spend: Spend | None = None
) -> CompanyOutcome:
    """End the company if the criteria say so, unless a person accepted it."""
    if decided.status is CompanyStatus.FOUND or company.accepted_by is not None:
        return CompanyOutcome(spend=spend or Spend())
    return await end_company(conn, company, decided, spend=spend)


async def end_forgotten_company(conn: Connection, company: CompanyRow, spend: Spend | None = None) -> CompanyOutcome:
    """End a forgotten company and erase everything stored about it."""
    await empty_company(conn, company.company_id)
    return await end_company(conn, company, suppressed(FORGOTTEN), spend=spend)


def suppressed(reason: str) -> CriteriaResult:
    return CriteriaResult(status=CompanyStatus.SUPPRESSED, reason=ReasonCode.SUPPRESSED, detail=reason)


def short_of_contacts(selected: int, wanted: int) -> CriteriaResult:
    detail = f"{selected} of {wanted} contacts"
    return CriteriaResult(status=CompanyStatus.REJECTED, reason=ReasonCode.CONTACTS_SHORT, detail=detail)
