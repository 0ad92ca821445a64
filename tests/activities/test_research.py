"""Research and contacts of one run are reused by another, as long as they are fresh and their evidence is stored.

The activities read a site over HTTP and ask a scripted model that counts what is bought.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

import pytest

from activities.contacts import ContactActivities
from activities.qualify import QualificationActivities
from activities.research import ResearchActivities
from domain.activity_io import CompanyInput, Spend
from domain.company.status import CompanyStatus
from domain.company.suppression import Suppression
from domain.request.criteria import Criteria, parse_criteria
from domain.request.run_request import RunRequest
from settings import Settings
from store.companies import companies, contacts, suppressions
from store.database import Connection, Database
from store.runs import audit
from tests.activities.environment import activity_environment
from tests.agents.scripted_model import EMPTY_RESEARCH, Model, opens, says, scripted
from tests.http_server import Reply, Request, html, serving
from tests.store.rows import add_run, candidate
from web.fetch import WebClient
from web.gateway import ToolGateway

SITE = "http://acme.example/"
STAFF = "We are a team of 12 people."
DOORS = "We manage 450 doors."
JANE, JOHN = "Jane Doe, Owner", "John Roe, Director of Operations"
ANY = Criteria()
PERSON: dict[str, None] = dict.fromkeys(("email", "phone", "linkedin_url", "email_citation", "note"))


class Office:
    """The database, the company's site as it is now, and the activities on them."""

    def __init__(self, database: Database, settings: Settings, gateway: ToolGateway) -> None:
        self.database = database
        self.settings = settings
        self.gateway = gateway
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

    def model(self, *script: Reply) -> AbstractAsyncContextManager[Model]:
        return scripted(self.database, self.gateway, self.settings, *script)

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

    async def research(self, model: Model, params: CompanyInput, status: CompanyStatus = CompanyStatus.FOUND) -> Spend:
        activities = ResearchActivities(self.database, self.gateway, model.new_worker(), self.settings)
        outcome = await activity_environment().run(activities.research_company, params)
        assert outcome.status is status
        return outcome.spend

    async def find_contacts(self, model: Model, params: CompanyInput) -> tuple[int, Spend]:
        activities = ContactActivities(self.database, self.gateway, model.new_worker(), self.settings)
        outcome = await activity_environment().run(activities.find_contacts, params)
        return outcome.contacts, outcome.spend

    async def states(self, employees: int) -> Reply:
        """An answer of the research agent, with its proof."""
        citation = {"result_id": await self.page_id(), "quote": STAFF}
        return says({**EMPTY_RESEARCH, "employees": {"value": employees, "citation": citation}})

    async def names(self, *people: str, with_emails: bool = True) -> Reply:
        """An answer of the contact agent, with its proof."""
        page_id, found = await self.page_id(), []
        for each in people:
            name, _, title = each.partition(", ")
            email = f"{name[:4].lower()}@acme.example"
            found.append(
                {
                    **PERSON,
                    "full_name": name,
                    "title": title,
                    "email": email if with_emails else None,
                    "citation": {"result_id": page_id, "quote": each},
                    "email_citation": {"result_id": page_id, "quote": email} if with_emails else None,
                }
            )
        return says({"people": found})

    async def page_id(self) -> str:
        """The newest stored page; each reading is a new result."""
        row = await self.row("SELECT result_id FROM tool_results WHERE status = 'ok' ORDER BY fetched_at DESC LIMIT 1")
        return str(row["result_id"])

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
            return [event["event"] for event in await audit.list_events(conn, params.request.run_id)]


@pytest.fixture
async def office(database: Database, settings: Settings) -> AsyncIterator[Office]:
    opened: list[Office] = []
    async with serving(lambda request: opened[0].page(request)) as proxy:
        web = WebClient(proxy=proxy.url, timeout_s=5, bytes_max=100_000)
        opened.append(Office(database, settings, ToolGateway(database, web, None, settings)))
        yield opened[0]
        await web.close()


async def employees(conn: Connection, company_id: UUID) -> int | None:
    research = await companies.get_research(conn, company_id)
    assert research is not None
    assert research.researched
    return research.facts.employees


async def test_research_is_reused_without_a_model_call(office: Office) -> None:
    first = await office.qualified()
    async with office.model(opens(SITE), await office.states(12)) as model:
        assert (await office.research(model, first)).model_calls == 2
        researched_at = await office.row("SELECT researched_at FROM known_companies")
        office.city = "Dallas"
        await office.change("UPDATE tool_results SET expires_at = now()")
        second = await office.qualified()
        spend = await office.research(model, second)
        assert (spend, model.bought) == (Spend(), 2)
        await office.research(model, second)
        assert await office.row("SELECT researched_at FROM known_companies") == researched_at, (
            "reuse does not make it newer"
        )
    async with office.database.transaction() as conn:
        known = await companies.get_research(conn, second.company.company_id)
    assert known is not None
    assert known.icp is not None
    assert (known.researched, known.facts.employees) == (True, 12)
    assert [place.city for place in known.facts.places] == ["Dallas"], "places are read again"
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
    async with office.model(opens(SITE)) as model:
        first = await office.qualified()
        model.script.append(await office.states(12))
        await office.research(model, first)
        await office.change(change)
        second = await office.qualified()
        office.settings = office.settings.model_copy(update={"known_company_days": days})
        model.script.extend([opens(SITE), await office.states(12)])
        spend = await office.research(model, second)
        assert (spend.model_calls, model.bought) == (2, 4)
    async with office.database.transaction() as conn:
        assert await employees(conn, second.company.company_id) == 12
    known = await office.row("SELECT researched_at > now() - interval '1 hour' AS is_new FROM known_companies")
    assert known["is_new"], "the new research replaces it"


async def test_new_questions_are_asked_once(office: Office) -> None:
    of_units = parse_criteria({"units_min": {"value": 50, "mode": "hard"}}).criteria
    async with office.model(opens(SITE)) as model:
        params = await office.qualified()
        answer = await office.states(12)
        model.script.append(answer)
        await office.research(model, params)
        for bought in (4, 4):
            model.script[:] = [opens(SITE), answer]
            await office.research(model, await office.qualified(criteria=of_units), CompanyStatus.NEEDS_REVIEW)
            assert model.bought == bought, "that no page says it is cached too"


async def test_an_answer_keeps_facts_that_it_leaves_out(office: Office) -> None:
    of_units = parse_criteria({"units_min": {"value": 50, "mode": "soft"}}).criteria
    async with office.model(opens(SITE)) as model:
        first = await office.qualified()
        model.script.append(await office.states(12))
        await office.research(model, first)
        asks_more = await office.qualified(criteria=of_units)
        units = {"value": 450, "citation": {"result_id": await office.page_id(), "quote": DOORS}}
        model.script[:] = [opens(SITE), says({**EMPTY_RESEARCH, "units": units})]
        assert (await office.research(model, asks_more)).model_calls == 2
    async with office.database.transaction() as conn:
        research = await companies.get_research(conn, asks_more.company.company_id)
    assert research is not None
    assert research.facts.units is not None
    assert (research.facts.units.value, research.facts.employees) == (450, 12)
    known = await office.row(
        "SELECT facts->'units'->'value' AS units, facts->'employees' AS employees FROM known_companies"
    )
    assert known == {"units": 450, "employees": 12}


async def test_an_answer_that_proves_nothing_is_not_reused(office: Office) -> None:
    nothing = says({**EMPTY_RESEARCH})
    async with office.model(opens(SITE), nothing, opens(SITE), nothing) as model:
        assert (await office.research(model, await office.qualified())).model_calls == 2
        assert (await office.research(model, await office.qualified())).model_calls == 2


async def test_another_office_under_the_domain_is_researched_itself(office: Office) -> None:
    austin, denver = "http://austin.acme.example/", "http://denver.acme.example/"
    async with office.model(opens(austin)) as model:
        first = await office.qualified(site=austin)
        model.script.append(await office.states(12))
        await office.research(model, first)
        model.script[:] = [opens(austin), await office.names(JANE)]
        await office.find_contacts(model, first)

        second = await office.qualified(site=denver)
        model.script[:] = [opens(denver), await office.states(12)]
        assert (await office.research(model, second)).model_calls == 2
        model.script[:] = [opens(denver), await office.names(JOHN)]
        people, spend = await office.find_contacts(model, second)
        assert (people, spend.model_calls) == (1, 2), "Jane is of the other office"


async def test_a_second_round_keeps_the_count_of_dropped_claims(office: Office) -> None:
    unproven = says(
        {**EMPTY_RESEARCH, "employees": {"value": 99, "citation": {"result_id": "page", "quote": "We are 99."}}}
    )
    async with office.model(opens(SITE), unproven) as model:
        params = await office.qualified()
        await office.research(model, params)
        count = "SELECT dropped FROM company_research WHERE company_id = %s"
        dropped = await office.row(count, params.company.company_id)
        assert dropped["dropped"]
        await office.qualify(params)
        await office.research(model, params)
        assert await office.row(count, params.company.company_id) == dropped


async def test_people_are_reused_unless_they_are_too_few(office: Office) -> None:
    first = await office.qualified()
    async with office.model(opens(SITE), await office.names(JANE)) as model:
        assert (await office.find_contacts(model, first))[0] == 1
        found_at = await office.row("SELECT found_at FROM known_contacts")
        second = await office.qualified()
        assert await office.find_contacts(model, second) == (1, Spend())
        assert model.bought == 2
        assert await office.row("SELECT found_at FROM known_contacts") == found_at, "reuse does not make them newer"

        wants_two = await office.qualified(contacts_min=2)
        model.script.extend([opens(SITE), await office.names(JOHN)])
        people, spend = await office.find_contacts(model, wants_two)
        assert (people, spend.model_calls) == (2, 2), "the cached one counts too"
        assert (await office.find_contacts(model, await office.qualified(contacts_min=2)))[1] == Spend()
    async with office.database.transaction() as conn:
        [jane] = await contacts.list_people(conn, second.company.company_id)
    assert (jane.full_name, jane.email, jane.evidence.quote) == ("Jane Doe", "jane@acme.example", JANE)
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
    first = await office.qualified()
    answer = await office.names(JANE)
    async with office.model(opens(SITE), answer, opens(SITE), answer) as model:
        await office.find_contacts(model, first)
        await office.change(change)
        second = await office.qualified()
        people, spend = await office.find_contacts(model, second)
        assert (people, spend.model_calls) == (1, 2)
        assert (await office.find_contacts(model, await office.qualified()))[1] == Spend(), "they are fresh now"


async def test_a_second_attempt_keeps_proven_addresses(office: Office) -> None:
    params = await office.qualified(contacts_min=2)
    async with office.model(opens(SITE), await office.names(JANE)) as model:
        await office.find_contacts(model, params)
        model.script.extend([opens(SITE), await office.names(JANE, with_emails=False)])
        await office.find_contacts(model, params.model_copy(update={"contacts_attempt": 2}))
    async with office.database.transaction() as conn:
        [jane] = await contacts.list_people(conn, params.company.company_id)
    known = await office.row("SELECT person ->> 'email' AS email FROM known_contacts")
    assert (jane.email, known["email"]) == ("jane@acme.example", "jane@acme.example")


async def test_the_second_attempt_asks_despite_cached_people(office: Office) -> None:
    first = await office.qualified()
    async with office.model(opens(SITE), await office.names(JANE)) as model:
        await office.find_contacts(model, first)
        params = await office.qualified()
        assert (await office.find_contacts(model, params))[1] == Spend()
        model.script.extend([opens(SITE), await office.names(JOHN)])
        people, spend = await office.find_contacts(model, params.model_copy(update={"contacts_attempt": 2}))
        assert (people, spend.model_calls) == (2, 2)


async def test_the_site_of_a_suppressed_company_is_cached(office: Office) -> None:
    async with office.database.transaction() as conn:
        await suppressions.upsert(conn, [Suppression(domain="acme.example", reason="customer", source="list.csv")])
    await office.qualified()
    assert office.qualified_as is CompanyStatus.SUPPRESSED
    known = await office.row("SELECT domain, name, city, research_complete FROM known_companies")
    assert known == {"domain": "acme.example", "name": "Acme Homes", "city": "Austin", "research_complete": False}
