"""Claims about contacts: dropped ones are counted once, and the activity heartbeats while it proves them."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from activities.contacts import ContactActivities
from domain.activity_io import CompanyInput, CompanyOutcome, CompanyRef
from domain.company.facts import CompanyFacts
from domain.company.status import CompanyStatus
from domain.contact.person import Person
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


async def _found_company(database: Database) -> CompanyInput:
    async with database.transaction() as conn:
        request = await add_run(conn)
        company_id = await add_company(conn, request.run_id, GOLD.name)
        await companies.set_own_site(conn, company_id, str(GOLD.domain), str(GOLD.website), [])
        await add_research(conn, request.run_id, company_id, CompanyFacts())
    return CompanyInput(request=request, company=CompanyRef(company_id=company_id, position=0))


async def test_unproven_claims_are_counted_once(database: Database, gateway: ToolGateway, settings: Settings) -> None:
    params = await _found_company(database)
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
        dropped = await completeness.dropped_claims(conn, params.request.run_id)
    assert dropped == {"person:not_named": 1, "person:unknown_result": 1}


async def test_it_heartbeats_while_claims_are_proven(
    database: Database, gateway: ToolGateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = await _found_company(database)
    beaten, heard = threading.Event(), []

    def slow_proof(*_: object) -> tuple[list[Person], dict[str, int]]:
        beaten.clear()
        heard.append(beaten.wait(10))
        return [], {}

    monkeypatch.setattr("activities.contacts.proven_people", slow_proof)
    monkeypatch.setattr("activities.heartbeats.HEARTBEAT_INTERVAL", timedelta(seconds=0.01))
    environment = activity_environment()
    environment.on_heartbeat = lambda *_: beaten.set()
    async with scripted(database, gateway, settings, says({"people": [_claimed("Nobody There")]})) as model:
        activities = ContactActivities(database, gateway, model.new_worker(), settings)
        await environment.run(activities.find_contacts, params)
    assert heard == [True]
