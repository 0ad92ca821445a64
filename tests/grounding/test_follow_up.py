"""How often a company's activities ask a model: once if its pages settle it, never after a rejection.

The production activities read a company's pages over HTTP and ask a scripted model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from activities.contacts import ContactActivities
from activities.qualify import QualificationActivities
from activities.research import ResearchActivities
from agents.roles.company_research import ResearchOutput
from domain.activity_io import CompanyInput
from domain.company.facts import CompanyFacts, CompanyType, UnitsEvidence
from domain.company.pms_vendors import PmsVendor
from domain.company.status import CompanyStatus, ReasonCode
from domain.evidence import Evidence
from domain.request.criteria import parse_criteria
from domain.request.run_request import RunRequest
from grounding.follow_up import follow_up_rule, missing_fields
from settings import Settings
from store.companies import companies
from store.database import Database
from tests.activities.environment import activity_environment
from tests.agents.scripted_model import EMPTY_RESEARCH, Model, says, scripted
from tests.agents.test_site_pages import MENU
from tests.grounding.pages import ACME, page
from tests.http_server import Reply, Request, html, serving
from tests.store.rows import add_run, candidate
from web.fetch import WebClient
from web.gateway import ToolGateway

SITE = "http://acme.example/"
NAVIGATION = "<a href='/rentals'>Rentals</a> <a href='/about'>About</a> <a href='/about/history'>History</a> <a href='/team'>Team</a>"
PAGES = {
    "/": "We manage single-family homes for owners in Austin.",
    "/about": "Founded in 1998.",
    "/about/history": "Today we manage 120 homes.",
    "/rentals": "Nothing is vacant right now.",
    "/team": "Jane Doe, Owner, jane@acme.example",
}
TYPE = "We manage single-family homes for owners"


PROOF = Evidence(result_id="r1", url="https://acme.example/", quote="words")
FIT = CompanyFacts(company_type=CompanyType.SINGLE_FAMILY, pms_status="detected", pms=PmsVendor.BUILDIUM)
SIZED = FIT.model_copy(update={"units": UnitsEvidence(value=500, basis="stated", evidence=PROOF)})


@pytest.mark.parametrize(
    ("raw", "facts", "fields"),
    [
        ({"pms": "Buildium"}, FIT, ()),
        ({"units_min": 50}, SIZED, ()),
        ({"units_min": 50}, FIT, ("units", "listings")),
        ({"units_min": {"value": 50, "mode": "soft"}}, FIT, ("units", "listings")),
        ({"units_max": 50}, SIZED, ()),
        ({}, CompanyFacts(), ("company_type",)),
        ({"company_types": ["hoa"], "units_min": 5}, CompanyFacts(), ("units", "listings", "company_type")),
        ({"pms": "Yardi", "units_min": 50}, FIT, ()),
        ({"units_min": 50}, FIT.model_copy(update={"manages_for_owners": False}), ()),
        ({"icp_tier_min": "A+"}, FIT, ("units", "listings")),
        ({"icp_tier_min": "A+"}, SIZED, ()),
        ({}, CompanyFacts(company_type=CompanyType.BROKERAGE), ("manages_for_owners",)),
        ({}, CompanyFacts(company_type=CompanyType.BROKERAGE, manages_for_owners=True), ()),
        ({"state": "TX"}, FIT, ()),
    ],
    ids=[
        "met", "met by research", "unknown", "unknown and soft", "not met", "type unknown", "both unknown", "rejected",
        "disqualified", "tier may rise", "tier cannot rise", "brokerage", "brokerage that manages", "settled by code",
    ],
)  # fmt: skip
def test_missing_fields_are_those_that_would_settle_something(
    raw: dict[str, Any], facts: CompanyFacts, fields: tuple[str, ...]
) -> None:
    assert missing_fields(parse_criteria(raw).criteria, facts) == fields


def test_follow_up_names_missing_fields_and_unread_pages() -> None:
    ask = follow_up_rule(parse_criteria({"units_min": 50}).criteria, FIT, ACME)
    answer = ResearchOutput.model_validate(EMPTY_RESEARCH)
    asked = ask(answer, {"r1": page(MENU)})
    assert asked is not None
    assert asked.fields == ("units", "listings", "company_type")
    assert len(asked.pages) == 3 and asked.pages[0] == "https://www.acme.example/about/"
    assert "units, listings, company_type" in asked.question
    assert ask(answer, {"r1": page("No links here.")}) is None, "nothing unread"


# --- in the activities -------------------------------------------------------------------------------------------------


@pytest.fixture
async def gateway(database: Database, settings: Settings) -> AsyncIterator[ToolGateway]:
    def answer(request: Request) -> Reply:
        path = request.target.removeprefix("http://acme.example") or "/"
        if path not in PAGES:
            return Reply(404)
        return html(
            f"<title>Acme Homes</title><nav>{NAVIGATION}</nav><p>{PAGES[path]}</p><p>1 Main Street, Austin, TX 78701</p>"
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


async def test_a_company_that_its_pages_settle_takes_one_turn(
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


async def test_an_unknown_criterion_gets_one_follow_up(
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


async def test_an_ended_company_is_not_researched(database: Database, gateway: ToolGateway, settings: Settings) -> None:
    params = await qualified(database, gateway, settings, state="TX")
    async with database.transaction() as conn:
        await companies.end_company(conn, params.company.company_id, CompanyStatus.REJECTED, ReasonCode.PMS_NOT_MET)
    async with scripted(database, gateway, settings) as model:
        steps = ResearchActivities(database, gateway, model.new_worker(), settings)
        outcome = await activity_environment().run(steps.research_company, params)
        assert (outcome.status, outcome.reason, model.bought) == (CompanyStatus.REJECTED, ReasonCode.PMS_NOT_MET, 0)


async def test_pages_that_name_people_are_preloaded(
    database: Database, gateway: ToolGateway, settings: Settings
) -> None:
    params = await qualified(database, gateway, settings, state="TX")
    async with scripted(database, gateway, settings, says({"people": []})) as model:
        steps = ContactActivities(database, gateway, model.new_worker(), settings)
        await activity_environment().run(steps.find_contacts, params)
        assert list(shown(model, 0)) == ["/", "/team", "/about"]
        assert model.bought == 1
