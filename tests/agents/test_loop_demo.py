"""Whole conversations of the three roles with the demo's model, over HTTP, on the demo's web and search."""

from __future__ import annotations

from uuid import UUID

import pytest

from agents.loop import AgentRunner
from agents.roles import company_research, contact_research, discovery
from agents.roles.company_research import ResearchOutput
from agents.roles.contact_research import ContactsOutput
from agents.roles.discovery import DiscoveryOutput
from grounding.quotes import Grounder
from local.demo.truth import gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from store.database import Database
from tests.store.rows import add_run

SITE = next(
    company
    for company in gold_table(generate_world(DEFAULT_SEED)).companies
    if company.deliverable and company.units_basis == "stated" and company.decision_makers
)


@pytest.fixture
async def run_id(database: Database) -> UUID:
    async with database.transaction() as conn:
        return (await add_run(conn)).run_id


async def test_discovery_names_companies_that_its_results_prove(runner: AgentRunner, run_id: UUID) -> None:
    task = {
        "task": "discovery",
        "kind": "directory_pages",
        "query": "list of property management companies in Texas",
        "place": {"city": None, "state": "TX", "state_name": "Texas"},
        "pms": ["Buildium"],
        "keywords": [],
        "notes": None,
        "already_known": [],
    }
    answer = await runner.run(discovery.ROLE, run_id, "task 1", task)

    assert answer.stop == "answered"
    assert isinstance(answer.output, DiscoveryOutput)
    assert len(answer.output.companies) > 10
    grounder = Grounder(answer.results)
    for company in answer.output.companies:
        assert grounder.evidence("company", company.citation, values=[company.name]), company
    assert answer.spend.cost_usd > 0
    assert answer.spend.model_calls >= 2


async def test_research_and_contacts_read_one_companys_own_pages(runner: AgentRunner, run_id: UUID) -> None:
    company = {
        "name": SITE.name,
        "website": SITE.website,
        "domain": SITE.domain,
        "city": SITE.city,
        "state": SITE.state,
    }
    task = {"company": company, "known_pages": [{"url": SITE.website, "title": SITE.name}]}
    seen = [str(SITE.website)]
    research = await runner.run(
        company_research.ROLE,
        run_id,
        "company 1",
        {"task": "company_research", "wanted": list(ResearchOutput.model_fields), **task},
        allowed_urls=seen,
    )
    people = await runner.run(
        contact_research.ROLE,
        run_id,
        "company 1",
        {"task": "contact_research", "contacts_max": 3, "look_beyond_own_site": False, **task},
        allowed_urls=seen,
    )

    assert isinstance(research.output, ResearchOutput)
    assert research.output.units is not None
    assert research.output.units.value == SITE.units
    assert isinstance(people.output, ContactsOutput)
    named = {person.full_name for person in people.output.people}
    assert named & {person.full_name for person in SITE.decision_makers}
