"""How often the steps on one company ask a model: once where its pages settle it, never where it is rejected already.

The production activities read a company of a few pages over HTTP and ask a scripted model that counts what is bought.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from activities.contacts import ContactActivities
from activities.qualify import QualificationActivities
from activities.research import ResearchActivities
from domain.activity_io import CompanyInput
from domain.company.status import CompanyStatus, ReasonCode
from domain.request.criteria import parse_criteria
from domain.request.run_request import RunRequest
from settings import Settings
from store.companies import companies
from store.database import Database
from tests.activities.environment import activity_environment
from tests.agents.scripted_model import EMPTY_RESEARCH, Model, says, scripted
from tests.http_server import Reply, Request, html, serving
from tests.store.rows import add_run, candidate
from web.fetch import WebClient
from web.gateway import ToolGateway

SITE = "http://acme.example/"
MENU = "<a href='/rentals'>Rentals</a> <a href='/about'>About</a> <a href='/about/history'>History</a> <a href='/team'>Team</a>"
PAGES = {
    "/": "We manage single-family homes for owners in Austin.",
    "/about": "Founded in 1998.",
    "/about/history": "Today we manage 120 homes.",
    "/rentals": "Nothing is vacant right now.",
    "/team": "Jane Doe, Owner, jane@acme.example",
}
TYPE = "We manage single-family homes for owners"


@pytest.fixture
async def gateway(database: Database, settings: Settings) -> AsyncIterator[ToolGateway]:
    def answer(request: Request) -> Reply:
        path = request.target.removeprefix("http://acme.example") or "/"
        if path not in PAGES:
            return Reply(404)
        return html(
            f"<title>Acme Homes</title><nav>{MENU}</nav><p>{PAGES[path]}</p><p>1 Main Street, Austin, TX 78701</p>"
        )

    async with serving(answer) as proxy:
        web = WebClient(proxy=proxy.url, timeout_s=5.0, bytes_max=100_000)
        yield ToolGateway(database, web, None, settings.model_copy(update={"host_request_interval_s": 0.0}))
        await web.close()


async def qualified(database: Database, gateway: ToolGateway, settings: Settings, **criteria: Any) -> CompanyInput:
    """The company in a new run, its site read."""
    async with database.transaction() as conn:
        run = await add_run(conn)
        request = RunRequest.model_validate(run.model_dump() | {"criteria": parse_criteria(criteria).criteria})
        await companies.insert_candidate(conn, run.run_id, None, 0, candidate("Acme Homes", url=SITE))
        [ref], _ = await companies.list_open_after(conn, run.run_id, 0, 1)
    params = CompanyInput(request=request, company=ref)
    steps = QualificationActivities(database, gateway, settings)
    outcome = await activity_environment().run(steps.qualify_company, params)
    assert outcome.status is CompanyStatus.FOUND
    return params


def shown(model: Model, number: int) -> dict[str, str]:
    """The result ids of the pages in a request, by path."""
    return {page["url"].removeprefix("http://acme.example"): page["result_id"] for page in model.tool_outputs(number)}


async def test_a_company_whose_pages_settle_it_is_researched_in_one_turn(
    database: Database, gateway: ToolGateway, settings: Settings
) -> None:
    params = await qualified(database, gateway, settings, state="TX")
    async with database.transaction() as conn:
        cursor = await conn.execute("SELECT result_id FROM tool_results WHERE args->>'url' = %s", (SITE,))
        home = (await cursor.fetchone() or {})["result_id"]
    answer = EMPTY_RESEARCH | {
        "company_type": {"value": "single_family", "citation": {"result_id": home, "quote": TYPE}}
    }
    async with scripted(database, gateway, settings, says(answer)) as model:
        steps = ResearchActivities(database, gateway, model.new_worker(), settings)
        outcome = await activity_environment().run(steps.research_company, params)
        assert (outcome.status, outcome.spend.model_calls, model.bought) == (CompanyStatus.FOUND, 1, 1)
        assert list(shown(model, 0)) == ["/", "/about", "/rentals"]
        assert shown(model, 0)["/"] == home, "from the cache, under the id it was stored with"


async def test_an_unknown_criterion_is_asked_about_once_more_with_the_pages_that_are_left(
    database: Database, gateway: ToolGateway, settings: Settings
) -> None:
    params = await qualified(database, gateway, settings, units_min=100)
    async with scripted(database, gateway, settings, says(EMPTY_RESEARCH), says(EMPTY_RESEARCH)) as model:
        steps = ResearchActivities(database, gateway, model.new_worker(), settings)
        outcome = await activity_environment().run(steps.research_company, params)
        assert (outcome.status, outcome.reason) == (CompanyStatus.NEEDS_REVIEW, ReasonCode.UNITS_UNKNOWN)
        assert model.bought == 2, "one more question, not two"
        assert "units" in model.asked(1)["input"][-1]["content"]
        assert list(shown(model, 1)) == ["/", "/about", "/rentals", "/about/history"]


async def test_a_company_that_has_ended_is_never_researched(
    database: Database, gateway: ToolGateway, settings: Settings
) -> None:
    params = await qualified(database, gateway, settings, state="TX")
    async with database.transaction() as conn:
        await companies.end_company(conn, params.company.company_id, CompanyStatus.REJECTED, ReasonCode.PMS_NOT_MET)
    async with scripted(database, gateway, settings) as model:
        steps = ResearchActivities(database, gateway, model.new_worker(), settings)
        outcome = await activity_environment().run(steps.research_company, params)
        assert (outcome.status, outcome.reason, model.bought) == (CompanyStatus.REJECTED, ReasonCode.PMS_NOT_MET, 0)


async def test_the_pages_that_name_people_are_opened_before_they_are_asked_for(
    database: Database, gateway: ToolGateway, settings: Settings
) -> None:
    params = await qualified(database, gateway, settings, state="TX")
    async with scripted(database, gateway, settings, says({"people": []})) as model:
        steps = ContactActivities(database, gateway, model.new_worker(), settings)
        await activity_environment().run(steps.find_contacts, params)
        assert list(shown(model, 0)) == ["/", "/team", "/about"]
        assert model.bought == 1
