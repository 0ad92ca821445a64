"""Dropped claims about contacts are counted once with their reason."""

from __future__ import annotations

from typing import Any

from activities.contacts import ContactActivities
from domain.activity_io import CompanyInput, CompanyOutcome, CompanyRef
from domain.company.facts import CompanyFacts
from domain.company.status import CompanyStatus
from local.demo.truth import gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from settings import Settings
from store.companies import companies
from store.database import Database
from store.delivery import completeness
from tests.activities.environment import activity_environment
from tests.agents.scripted_model import says, scripted
from tests.store.rows import add_company, add_research, add_run
from web.gateway import ToolGateway

GOLD = next(company for company in gold_table(generate_world(DEFAULT_SEED)).companies if company.deliverable)


def _claimed(name: str) -> dict[str, Any]:
    empty = dict.fromkeys(("email", "phone", "linkedin_url", "email_citation", "note"))
    return {"full_name": name, "title": "Owner", "citation": {"result_id": "none", "quote": f"{name}, Owner"}, **empty}


async def test_unproven_claims_are_counted_once(database: Database, gateway: ToolGateway, settings: Settings) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn)
        company_id = await add_company(conn, request.run_id, GOLD.name)
        await companies.set_own_site(conn, company_id, str(GOLD.domain), str(GOLD.website), [])
        await add_research(conn, request.run_id, company_id, CompanyFacts())
    params = CompanyInput(request=request, company=CompanyRef(company_id=company_id, position=0))
    answer = {"people": [_claimed("Nobody There"), _claimed("Our Team")]}

    async with scripted(database, gateway, settings, says(answer)) as model:
        outcomes: list[CompanyOutcome] = []
        for _ in range(2):  # the first worker dies before it reports
            activities = ContactActivities(database, gateway, model.new_worker(), settings)
            outcomes.append(await activity_environment().run(activities.find_contacts, params))
        last = params.model_copy(update={"contacts_attempt": 2})
        ended = await activity_environment().run(activities.select_contacts, last)
        bought = model.bought

    assert (bought, [outcome.contacts for outcome in outcomes]) == (1, [0, 0])
    assert ended.status is CompanyStatus.REJECTED
    async with database.transaction() as conn:
        dropped = await completeness.dropped_claims(conn, request.run_id)
    assert dropped == {"person:not_named": 1, "person:unknown_result": 1}
