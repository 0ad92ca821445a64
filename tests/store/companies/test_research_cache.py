"""The research cache keeps the newest result of any run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from domain.company.facts import CompanyFacts
from domain.company.icp import grade_icp
from domain.company.places import Place
from store.companies import companies, research_cache
from store.companies.companies import SitePageRef
from store.database import Connection, Database
from store.tools import tool_results
from tests.store.rows import EVIDENCE, add_company, add_run, facts_in, person, result

START = datetime.now(UTC) - timedelta(days=10)
CITIES = ("Austin", "Dallas", "Waco")
RESULTS = [(kind, day) for kind in ("site", "research", "people") for day in range(len(CITIES))]


async def acme_of_another_run(conn: Connection, name: str = "Acme", alias: str = "acme-old.example") -> UUID:
    """The company acme.example as one more run has found it."""
    company_id = await add_company(conn, (await add_run(conn)).run_id, name)
    await companies.set_own_site(conn, company_id, "acme.example", "http://acme.example/", [alias])
    return company_id


async def arrives(conn: Connection, company_id: UUID, kind: str, day: int) -> None:
    """Store a result of a day; each day saw another place, another number of employees and another title."""
    at = START + timedelta(days=day)
    if kind == "site":
        pages = [SitePageRef(url=f"http://acme.example/{day}", title="Acme")]
        await research_cache.cache_site(conn, company_id, facts_in(Place(city=CITIES[day], state="TX")), pages, at)
    elif kind == "research":
        # The places are what this run had read: they are not an agent's to say.
        facts = facts_in(Place(city="Elsewhere", state="OH")).model_copy(update={"employees": 10 + day})
        await research_cache.cache_research(conn, company_id, facts, grade_icp(facts), version=1, researched_at=at)
    else:
        people = [person("Jane Doe", f"Owner {day}"), person(f"John Roe {CITIES[day]}", "Director of Operations")]
        await research_cache.cache_people(conn, company_id, people, version=1, found_at=at)


async def rows(conn: Connection, query: str, *values: object) -> list[dict[str, Any]]:
    return [dict(row) for row in await (await conn.execute(query.encode(), values)).fetchall()]


@pytest.fixture
async def of_three_runs(database: Database) -> list[UUID]:
    async with database.transaction() as conn:
        return [await acme_of_another_run(conn, f"Acme {city}", f"{city.lower()}.example") for city in CITIES]


@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(RESULTS))
async def test_the_newest_of_each_kind_wins_in_any_order(
    database: Database, of_three_runs: list[UUID], order: list[tuple[str, int]]
) -> None:
    async with database.transaction() as conn, conn.transaction(force_rollback=True):
        for kind, day in order:
            await arrives(conn, of_three_runs[day], kind, day)
        [company] = await rows(conn, "SELECT * FROM known_companies")
        people = await rows(conn, "SELECT person->>'title' AS title, found_at FROM known_contacts ORDER BY person_key")
    assert (company["name"], company["city"], company["state"]) == ("Acme Waco", "Waco", "TX")
    assert (company["site_company_id"], company["read_at"]) == (of_three_runs[2], START + timedelta(days=2))
    assert company["pages"] == [{"url": "http://acme.example/2", "title": "Acme"}]
    assert (company["facts"]["employees"], company["research_complete"]) == (12, True)
    assert company["researched_at"] == START + timedelta(days=2)
    assert company["aliases"] == ["austin.example", "dallas.example", "waco.example"], "every name it ever had"
    assert CompanyFacts.model_validate(company["facts"]).model_dump(mode="json") == company["facts"]
    assert [row["title"] for row in people] == ["Owner 2", *["Director of Operations"] * 3]
    assert people[0]["found_at"] == START + timedelta(days=2)


async def test_an_older_result_changes_nothing(database: Database, of_three_runs: list[UUID]) -> None:
    async with database.transaction() as conn:
        for kind in ("site", "research", "people"):
            await arrives(conn, of_three_runs[2], kind, 2)
        before = await rows(conn, "SELECT facts, icp, name, pages FROM known_companies")
        for kind in ("site", "research"):
            await arrives(conn, of_three_runs[0], kind, 0)
        assert await rows(conn, "SELECT facts, icp, name, pages FROM known_companies") == before


async def test_a_new_site_reading_keeps_the_research(database: Database, of_three_runs: list[UUID]) -> None:
    async with database.transaction() as conn:
        await tool_results.save_result(conn, result(EVIDENCE.result_id), "hash", 1.0, None)
        await arrives(conn, of_three_runs[0], "research", 0)
        await arrives(conn, of_three_runs[1], "site", 1)
        found = await research_cache.find_fresh_research(conn, "http://acme.example/", version=1, days=180)
    assert found is not None
    assert (found.facts.employees, found.researched_at) == (10, START)
    [place] = found.with_site_facts(facts_in(Place(city="El Paso", state="TX"))).places
    assert place.city == "El Paso", "places are those of the reading just done"


async def test_concurrent_runs_can_cache_the_same_company(database: Database, of_three_runs: list[UUID]) -> None:
    people = [person(f"Jane Doe{'e' * number}") for number in range(20)]

    async def store(number: int) -> None:
        async with database.transaction() as conn:
            company_id, at = of_three_runs[number % 3], START + timedelta(minutes=number)
            if number < 4:
                await arrives(conn, company_id, "site", number % 3)
                await arrives(conn, company_id, "research", number % 3)
            in_any_order = people if number % 2 else people[::-1]
            await research_cache.cache_people(conn, company_id, in_any_order, version=1, found_at=at)

    await asyncio.gather(*(store(number) for number in range(12)))
    async with database.transaction() as conn:
        assert len(await rows(conn, "SELECT 1 FROM known_companies")) == 1
        newest = await rows(conn, "SELECT DISTINCT found_at FROM known_contacts")
    assert newest == [{"found_at": START + timedelta(minutes=11)}]


async def test_a_company_without_a_domain_of_its_own_is_an_error(database: Database) -> None:
    async with database.transaction() as conn:
        company_id = await add_company(conn, (await add_run(conn)).run_id, "Acme")
        with pytest.raises(LookupError, match="no domain of its own yet"):
            await research_cache.cache_site(conn, company_id, CompanyFacts(), [], START)
