"""Ask an agent about one company, with the best pages of its site opened for it."""

from collections.abc import Sequence
from typing import Any

from activities.attempts import is_last_attempt
from activities.company import own_domains
from activities.heartbeats import heartbeating
from agents.loop import AgentAnswer, AgentRunner, FollowUpRule
from agents.role import AgentRole
from agents.site_pages import choose_pages
from domain.activity_io import CompanyInput
from store.companies.companies import CompanyRow, SitePageRef
from web.gateway import ToolGateway


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
    """Run or continue the call.

    Args:
        pages: of the company's site, as read by code.
        page_kinds: which pages of the site to open, as for ``choose_pages``.
        task: what the role is told in addition.

    Raises:
        ApplicationError: the model's service failed (typed in ``agents/errors.py``); ``SiteUnavailableError``: the
            company's site did not answer, and attempts are left.
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
    """The key under which the call's turns are stored. A new retry round asks again."""
    return f"company {params.company.company_id} round {params.retry_round}"
