"""Stored candidates: imported accounts and companies of earlier runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from activities.stored_candidates import find_stored_candidates, wanted_candidates
from domain.company.facts import CompanyFacts, CompanyType
from domain.company.icp import grade_icp
from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.company.status import CompanyStatus, ReasonCode
from domain.company.suppression import Suppression
from domain.request.criteria import Criteria, parse_criteria
from store.companies import companies, research_cache, stored_candidates, suppressions
from store.database import Connection, Database
from store.tools import tool_results
from tests.store.rows import add_company, add_run, person

ROW = """
    INSERT INTO pms_subdomains (vendor, slug, portal_url, company_name, city, state, website, phone, source)
    VALUES (%(vendor)s, %(slug)s, %(portal_url)s, %(company_name)s, %(city)s, %(state)s, %(website)s, %(phone)s, 'seeds.csv')
"""


def criteria(**raw: Any) -> Criteria:
    return parse_criteria({"pms": "Buildium", "state": "TX"} | raw).criteria


async def add_seed(conn: Connection, slug: str, **more: str | None) -> None:
    seed: dict[str, str | None] = {
        "vendor": "Buildium",
        "slug": slug,
        "portal_url": f"https://{slug}.managebuilding.com/",
    }
    seed |= {"company_name": f"{slug.title()} Homes", "city": "Austin", "state": "TX", "website": None, "phone": None}
    await conn.execute(ROW, seed | more)


async def add_known(
    conn: Connection, name: str, *, state: str = "TX", vendor: str = "Buildium", kind: CompanyType = CompanyType.UNKNOWN
) -> UUID:
    """A company that an earlier run has rejected for its contacts."""
    run = await add_run(conn)
    company_id = await add_company(conn, run.run_id, name)
    domain = f"{name.lower()}.example"
    await companies.set_own_site(conn, company_id, domain, f"https://{domain}/", [])
    place = Place(city="Austin", state=state)
    facts = CompanyFacts(places=(place,), pms=PmsVendor(vendor), pms_status="detected", company_type=kind)
    await companies.save_research(conn, run.run_id, company_id, facts, [], None, pages=[], dropped={}, researched=True)
    await research_cache.cache_site(conn, company_id, facts, [], datetime.now(UTC))
    await research_cache.cache_research(
        conn, company_id, facts, grade_icp(facts), version=1, researched_at=datetime.now(UTC)
    )
    await companies.end_company(conn, company_id, CompanyStatus.REJECTED, ReasonCode.CONTACTS_SHORT)
    return company_id


async def test_imported_accounts_that_fit_become_candidates(database: Database) -> None:
    async with database.transaction() as conn:
        await add_seed(conn, "acme")
        await add_seed(conn, "birch", website="http://birchhomes.com", phone="+15125550100")
        await add_seed(conn, "elsewhere", state="OH", city="Akron")
        await add_seed(conn, "anywhere", state=None, city=None)
        await add_seed(conn, "nameless", company_name=None)
        await add_seed(conn, "other", vendor="AppFolio")
        found = await find_stored_candidates(conn, uuid4(), "seeds", criteria())
    assert [(c.name, c.url) for c in found] == [
        ("Acme Homes", "https://acme.managebuilding.com/"),
        ("Birch Homes", "http://birchhomes.com"),
        ("Anywhere Homes", "https://anywhere.managebuilding.com/"),
    ]
    assert found[0].candidate_key == "portal:Buildium:acme" and found[1].phone == "+15125550100"


async def test_an_imported_account_has_evidence(database: Database) -> None:
    async with database.transaction() as conn:
        await add_seed(conn, "acme")
        first = (await find_stored_candidates(conn, uuid4(), "seeds", criteria()))[0]
        again = (await find_stored_candidates(conn, uuid4(), "seeds", criteria()))[0]
        stored = await tool_results.get_results(conn, [first.evidence.result_id])
    assert first == again
    assert first.evidence.quote in stored[first.evidence.result_id].text
    assert first.discovery_source == "import:seeds.csv"


async def test_companies_of_other_runs_are_found_once(database: Database) -> None:
    async with database.transaction() as conn:
        await add_known(conn, "Acme")
        await add_known(conn, "Acme")
        await add_known(conn, "Ohioan", state="OH")
        await add_known(conn, "Folio", vendor="AppFolio")
        wanted = wanted_candidates(criteria())
        own_run = (await companies.get_company(conn, await add_known(conn, "Birch"))).run_id
        found = await find_stored_candidates(conn, own_run, "known_companies", criteria())
        counted = await stored_candidates.count_stored_candidates(conn, own_run, wanted)
    assert [(c.name, c.url, c.candidate_key) for c in found] == [
        ("Acme", "https://acme.example/", "domain:acme.example")
    ]
    assert (counted.known_companies, counted.seeds) == (1, 0)


async def test_companies_with_cached_people_come_first(database: Database) -> None:
    async with database.transaction() as conn:
        for name in ("Acme", "Birch", "Cedar"):
            await add_known(conn, name)
        again = await add_known(conn, "Birch")
        await research_cache.cache_people(conn, again, [person("Jane Doe")], version=1, found_at=datetime.now(UTC))
        found = await find_stored_candidates(conn, uuid4(), "known_companies", criteria())
    assert [c.name for c in found] == ["Birch", "Acme", "Cedar"]


async def test_unfit_and_suppressed_companies_are_left_out(database: Database) -> None:
    reasons = ("customer", "do_not_contact", "contacted")
    async with database.transaction() as conn:
        await add_known(conn, "Association", kind=CompanyType.HOA)
        for reason in reasons:
            await add_known(conn, reason.replace("_", "-"))
        listed = [Suppression(domain=f"{r.replace('_', '-')}.example", reason=r, source="list.csv") for r in reasons]
        await suppressions.upsert(conn, listed)

        async def names(**raw: Any) -> list[str]:
            return [c.name for c in await find_stored_candidates(conn, uuid4(), "known_companies", criteria(**raw))]

        assert await names() == ["contacted"], "the suppression check knows for how long"
        assert await names(company_types=["hoa"]) == ["Association", "contacted"], "unless the request asks for them"


async def test_the_query_by_software_and_state_uses_its_index(database: Database) -> None:
    async with database.transaction() as conn:
        await conn.execute("SET LOCAL enable_seqscan = off")
        asked = stored_candidates._cached(wanted_candidates(criteria()))
        values = stored_candidates._values(uuid4(), wanted_candidates(criteria()))
        plan = await (await conn.execute(f"EXPLAIN SELECT 1 {asked}".encode(), values)).fetchall()
    assert any("known_companies_of_software" in row["QUERY PLAN"] for row in plan), plan


async def test_cities_and_software_restrict_the_candidates(database: Database) -> None:
    async with database.transaction() as conn:
        await add_known(conn, "Acme")
        await add_seed(conn, "birch")
        await add_seed(conn, "waco", city="Waco")

        async def names(**raw: Any) -> list[str]:
            run_id, asked = uuid4(), criteria(**raw)
            known = await find_stored_candidates(conn, run_id, "known_companies", asked)
            return [c.name for c in [*known, *await find_stored_candidates(conn, run_id, "seeds", asked)]]

        assert await names(city="AUSTIN") == ["Acme", "Birch Homes"]
        assert await names(city="Waco") == ["Waco Homes"]
        assert await names(pms="Yardi") == []
