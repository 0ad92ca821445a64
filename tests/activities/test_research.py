"""Research and contacts of one run are reused by another, as long as they are fresh and their evidence is stored.

The activities read a site over HTTP and ask a scripted model that counts what is bought.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from activities.contacts import ContactActivities
from activities.qualify import QualificationActivities
from activities.research import ResearchActivities
from domain.activity_io import CompanyInput
from domain.company.facts import CompanyFacts
from domain.company.status import CompanyStatus
from domain.company.suppression import Suppression
from domain.contact.person import Person
from domain.request.criteria import Criteria, parse_criteria
from domain.request.run_request import RunRequest
from settings import Settings
from store.companies import companies, contacts, suppressions
from store.database import Database
from tests.activities.environment import activity_environment
from tests.agents.scripted_model import EMPTY_RESEARCH, Model, opens, says, scripted
from tests.http_server import Reply, Request, html, serving
from tests.store.rows import add_run, audit_events, candidate
from web.fetch import WebClient
from web.gateway import ToolGateway

SITE = "http://acme.example/"
STAFF = "We are a team of 12 people."
DOORS = "We manage 450 doors."
JANE, JOHN = "Jane Doe, Owner", "John Roe, Director of Operations"
ANY = Criteria()
PERSON: dict[str, Any] = dict.fromkeys(("email", "phone", "linkedin_url", "email_citation", "note"))


class Office:
    """The database, the company's site as it is now, and the activities on them."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self.gateway: ToolGateway
        self.model: Model
        self.city = "Austin"

    def page(self, request: Request) -> Reply:
        if request.target.endswith("/robots.txt"):
            return Reply(404)
        people = " ".join(
            f"<p>{each} <a href='mailto:{each[:4].lower()}@acme.example'>{each[:4].lower()}@acme.example</a></p>"
            for each in (JANE, JOHN)
        )
        footer = f"<footer>100 Main Street, {self.city}, TX 78701</footer>"
        return html(f"<title>Acme Homes</title><h1>Acme Homes</h1><p>{STAFF} {DOORS}</p>{people}{footer}")

    async def qualified(self, *, contacts_min: int = 1, criteria: Criteria = ANY, site: str = SITE) -> CompanyInput:
        """The company in a new run, qualified."""
        async with self.database.transaction() as conn:
            run = await add_run(conn, contacts_min=contacts_min)
            request = RunRequest.model_validate(run.model_dump() | {"criteria": criteria})
            await companies.insert_candidate(conn, run.run_id, None, 0, candidate("Acme Homes", url=site))
            [ref], _ = await companies.list_open_after(conn, run.run_id, 0, 10)
        params = CompanyInput(request=request, company=ref)
        await self.qualify(params)
        return params

    async def qualify(self, params: CompanyInput) -> None:
        activities = QualificationActivities(self.database, self.gateway, self.settings)
        self.qualified_as = (await activities.qualify_company(params)).status

    async def research(self, params: CompanyInput, *script: Reply, ends: CompanyStatus = CompanyStatus.FOUND) -> int:
        """Research the company with these answers of the model; returns the number of model calls."""
        activities = ResearchActivities(self.database, self.gateway, self.model.new_worker(), self.settings)
        self.model.script[:] = script
        outcome = await activity_environment().run(activities.research_company, params)
        assert outcome.status is ends
        return outcome.spend.model_calls

    async def find_contacts(self, params: CompanyInput, *script: Reply) -> tuple[int, int]:
        """Find contacts with these answers of the model; returns the numbers of people and model calls."""
        activities = ContactActivities(self.database, self.gateway, self.model.new_worker(), self.settings)
        self.model.script[:] = script
        outcome = await activity_environment().run(activities.find_contacts, params)
        return outcome.contacts, outcome.spend.model_calls

    async def facts(self, params: CompanyInput) -> CompanyFacts:
        async with self.database.transaction() as conn:
            research = await companies.get_research(conn, params.company.company_id)
        assert research is not None
        assert research.researched
        assert research.icp is not None
        return research.facts

    async def people(self, params: CompanyInput) -> list[Person]:
        async with self.database.transaction() as conn:
            return await contacts.list_people(conn, params.company.company_id)

    async def states(self, employees: int) -> Reply:
        """An answer of the research agent with its quote."""
        claim = {"value": employees, "citation": await self.cite(STAFF)}
        return says({**EMPTY_RESEARCH, "employees": claim})

    async def names(self, *people: str, with_emails: bool = True) -> Reply:
        """An answer of the contact agent with its quotes."""
        found = []
        for each in people:
            name, _, title = each.partition(", ")
            person = {**PERSON, "full_name": name, "title": title, "citation": await self.cite(each)}
            if with_emails:
                email = f"{name[:4].lower()}@acme.example"
                person |= {"email": email, "email_citation": await self.cite(email)}
            found.append(person)
        return says({"people": found})

    async def cite(self, quote: str) -> dict[str, str]:
        """A citation of the newest stored page; each reading is a new result."""
        row = await self.row("SELECT result_id FROM tool_results WHERE status = 'ok' ORDER BY fetched_at DESC LIMIT 1")
        return {"result_id": row["result_id"], "quote": quote}

    async def row(self, query: str, *values: object) -> dict[str, Any]:
        async with self.database.transaction() as conn:
            row = await (await conn.execute(query.encode(), values)).fetchone()
        assert row is not None
        return dict(row)

    async def change(self, statement: str) -> None:
        async with self.database.transaction() as conn:
            assert (await conn.execute(statement.encode())).rowcount > 0

    async def events(self, params: CompanyInput) -> list[str]:
        async with self.database.transaction() as conn:
            return [event["event"] for event in await audit_events(conn, params.request.run_id)]


@pytest.fixture
async def office(database: Database, settings: Settings) -> AsyncIterator[Office]:
    office = Office(database, settings)
    async with serving(office.page) as proxy:
        web = WebClient(proxy=proxy.url, timeout_s=5, bytes_max=100_000)
        office.gateway = ToolGateway(database, web, None, settings)
        async with scripted(database, office.gateway, settings) as office.model:
            yield office
        await web.close()


async def test_research_is_reused_without_a_model_call(office: Office) -> None:
    first = await office.qualified()
    assert await office.research(first, opens(SITE), await office.states(12)) == 2
    researched_at = await office.row("SELECT researched_at FROM known_companies")
    office.city = "Dallas"
    await office.change("UPDATE tool_results SET expires_at = now()")
    second = await office.qualified()
    for _ in range(2):
        assert await office.research(second) == 0
    assert await office.row("SELECT researched_at FROM known_companies") == researched_at, "reuse makes it no newer"
    facts = await office.facts(second)
    assert facts.employees == 12
    assert [place.city for place in facts.places] == ["Dallas"], "places are read again"
    assert "research_reused" in await office.events(second)
    assert "research_reused" not in await office.events(first)


@pytest.mark.parametrize(
    ("change", "days"),
    [
        ("UPDATE known_companies SET researched_at = now() - interval '181 days'", 180),
        ("UPDATE known_companies SET research_version = research_version - 1", 180),
        ("UPDATE company_research SET dropped = '{}'", 0),
        ("DELETE FROM tool_results", 180),
    ],
    ids=["stale", "of_another_version", "never_by_setting", "its_proof_is_gone"],
)
async def test_research_that_is_not_reusable_is_bought_again(office: Office, change: str, days: int) -> None:
    await office.research(await office.qualified(), opens(SITE), await office.states(12))
    await office.change(change)
    second = await office.qualified()
    office.settings = office.settings.model_copy(update={"known_company_days": days})
    assert await office.research(second, opens(SITE), await office.states(12)) == 2
    assert (await office.facts(second)).employees == 12
    known = await office.row("SELECT researched_at > now() - interval '1 hour' AS is_new FROM known_companies")
    assert known["is_new"], "the new research replaces it"


async def test_new_questions_are_asked_once(office: Office) -> None:
    units_min = parse_criteria({"units_min": {"value": 50, "mode": "hard"}}).criteria
    first = await office.qualified()
    answer = await office.states(12)
    await office.research(first, opens(SITE), answer)
    for calls in (2, 0):  # that no page says it is cached too
        params = await office.qualified(criteria=units_min)
        assert await office.research(params, opens(SITE), answer, ends=CompanyStatus.NEEDS_REVIEW) == calls


async def test_an_answer_keeps_facts_that_it_leaves_out(office: Office) -> None:
    await office.research(await office.qualified(), opens(SITE), await office.states(12))
    second = await office.qualified(criteria=parse_criteria({"units_min": {"value": 50, "mode": "soft"}}).criteria)
    units = {"value": 450, "citation": await office.cite(DOORS)}
    assert await office.research(second, opens(SITE), says({**EMPTY_RESEARCH, "units": units})) == 2
    facts = await office.facts(second)
    assert facts.units is not None
    assert (facts.units.value, facts.employees) == (450, 12)
    known = await office.row(
        "SELECT facts->'units'->'value' AS units, facts->'employees' AS employees FROM known_companies"
    )
    assert known == {"units": 450, "employees": 12}


async def test_an_answer_that_proves_nothing_is_not_reused(office: Office) -> None:
    for _ in range(2):
        assert await office.research(await office.qualified(), opens(SITE), says({**EMPTY_RESEARCH})) == 2


async def test_another_office_under_the_domain_is_researched_itself(office: Office) -> None:
    austin, denver = "http://austin.acme.example/", "http://denver.acme.example/"
    first = await office.qualified(site=austin)
    await office.research(first, opens(austin), await office.states(12))
    await office.find_contacts(first, opens(austin), await office.names(JANE))

    second = await office.qualified(site=denver)
    assert await office.research(second, opens(denver), await office.states(12)) == 2
    people = await office.find_contacts(second, opens(denver), await office.names(JOHN))
    assert people == (1, 2), "Jane is of the other office"


async def test_a_second_round_keeps_the_count_of_dropped_claims(office: Office) -> None:
    params = await office.qualified()
    claim = {"value": 99, "citation": {"result_id": "page", "quote": "We are 99."}}
    await office.research(params, opens(SITE), says({**EMPTY_RESEARCH, "employees": claim}))
    count = "SELECT dropped FROM company_research WHERE company_id = %s"
    dropped = await office.row(count, params.company.company_id)
    assert dropped["dropped"]
    await office.qualify(params)
    await office.research(params)
    assert await office.row(count, params.company.company_id) == dropped


async def test_people_are_reused_unless_they_are_too_few(office: Office) -> None:
    first = await office.qualified()
    assert await office.find_contacts(first, opens(SITE), await office.names(JANE)) == (1, 2)
    found_at = await office.row("SELECT found_at FROM known_contacts")
    second = await office.qualified()
    assert await office.find_contacts(second) == (1, 0)
    assert await office.row("SELECT found_at FROM known_contacts") == found_at, "reuse makes them no newer"
    [jane] = await office.people(second)
    assert (jane.full_name, jane.email, jane.evidence.quote) == ("Jane Doe", "jane@acme.example", JANE)

    wants_two = await office.qualified(contacts_min=2)
    assert await office.find_contacts(wants_two, opens(SITE), await office.names(JOHN)) == (2, 2), "Jane counts too"
    assert await office.find_contacts(await office.qualified(contacts_min=2)) == (2, 0)
    assert "contacts_reused" in await office.events(second)
    assert "contacts_reused" not in await office.events(wants_two)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE known_contacts SET found_at = now() - interval '91 days'",
        "UPDATE known_contacts SET version = version - 1",
        'UPDATE known_contacts SET person = person || \'{"linkedin_evidence": {"result_id": "gone"}}\'',
        "UPDATE known_contacts SET person = person || '{\"email\": null}'",
    ],
    ids=["stale", "of_another_version", "proof_is_gone", "cannot_be_reached"],
)
async def test_people_who_are_not_reusable_are_bought_again(office: Office, change: str) -> None:
    await office.find_contacts(await office.qualified(), opens(SITE), await office.names(JANE))
    await office.change(change)
    second = await office.qualified()
    assert await office.find_contacts(second, opens(SITE), await office.names(JANE)) == (1, 2)
    assert await office.find_contacts(await office.qualified()) == (1, 0), "they are fresh now"


async def test_a_second_attempt_asks_and_keeps_proven_addresses(office: Office) -> None:
    await office.find_contacts(await office.qualified(), opens(SITE), await office.names(JANE))
    params = await office.qualified()
    assert await office.find_contacts(params) == (1, 0)
    second_attempt = params.model_copy(update={"contacts_attempt": 2})
    answer = await office.names(JANE, JOHN, with_emails=False)
    assert await office.find_contacts(second_attempt, opens(SITE), answer) == (2, 2)
    emails = {person.full_name: person.email for person in await office.people(params)}
    assert emails["Jane Doe"] == "jane@acme.example"
    known = await office.row(
        "SELECT person ->> 'email' AS email FROM known_contacts WHERE person ->> 'full_name' ~ 'Jane'"
    )
    assert known["email"] == "jane@acme.example"


async def test_the_site_of_a_suppressed_company_is_cached(office: Office) -> None:
    async with office.database.transaction() as conn:
        await suppressions.upsert(conn, [Suppression(domain="acme.example", reason="customer", source="list.csv")])
    await office.qualified()
    assert office.qualified_as is CompanyStatus.SUPPRESSED
    known = await office.row("SELECT domain, name, city, research_complete FROM known_companies")
    assert known == {"domain": "acme.example", "name": "Acme Homes", "city": "Austin", "research_complete": False}
