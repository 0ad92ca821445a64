"""Companies of a run: stored once, with one owner per identity."""

from __future__ import annotations

import asyncio
from uuid import UUID

from domain.company.facts import CompanyFacts
from domain.company.identity import IdentityKeys
from domain.company.places import Place
from domain.company.status import CompanyStatus, ReasonCode
from domain.contact.person import Person, person_key
from store.companies import companies, contacts
from store.companies.companies import SitePageRef
from store.database import Database
from tests.store.rows import add_company, add_research, add_run, candidate, complete, facts_in, person

AUSTIN = Place(city="Austin", state="TX", zip="78701")


async def test_a_candidate_found_again_is_unchanged(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        first = await companies.insert_candidate(conn, run_id, None, 5, candidate("Acme", key="acme.example"))
        again = await companies.insert_candidate(conn, run_id, None, 9, candidate("ACME Inc", key="acme.example"))
        refs, _ = await companies.list_open_after(conn, run_id, 0, 10)
        row = await companies.get_company(conn, refs[0].company_id)

    assert (first, again) == (True, False)
    assert len(refs) == 1
    assert (row.name, row.position) == ("Acme", 5)


async def test_a_company_keeps_its_position(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        quick = await add_company(conn, run_id, "Named by the quick later task", position=200_000)
        other = await add_company(conn, run_id, "Other", position=100_001)
        await companies.insert_candidate(conn, run_id, None, 1, candidate("Named by the quick later task"))
        await companies.insert_candidate(conn, run_id, None, 300_000, candidate("Other"))
        for company in (quick, other):
            await complete(conn, company)

        assert await companies.complete_in_order(conn, run_id, 1) == [other]
        assert await companies.complete_in_order(conn, run_id, 9) == [other, quick]


async def test_another_run_can_find_the_same_company(database: Database) -> None:
    async with database.transaction() as conn:
        for _ in range(2):
            run_id = (await add_run(conn)).run_id
            company = await add_company(conn, run_id, "Acme")
            keys = IdentityKeys(domains=("acme.example",), name="Acme")
            assert await companies.claim_identity(conn, run_id, company, keys) is None


async def test_new_companies_are_read_in_batches(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        stored = [await add_company(conn, run_id, f"Company {number}") for number in range(5)]
        one, cursor = await companies.list_open_after(conn, run_id, 0, 3)
        two, cursor = await companies.list_open_after(conn, run_id, cursor, 3)
        nothing, same = await companies.list_open_after(conn, run_id, cursor, 3)

    assert [ref.company_id for ref in (*one, *two)] == stored
    assert (nothing, same) == ([], cursor)


async def test_listed_names_include_the_city(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        for position, city in enumerate(("Dallas", "Houston", None)):
            found = candidate("Acme Homes", key=f"acme {city}").model_copy(update={"city": city})
            assert await companies.insert_candidate(conn, run_id, None, position, found)
        assert await companies.list_names(conn, run_id, "TX", 10) == [
            "Acme Homes",
            "Acme Homes (Houston)",
            "Acme Homes (Dallas)",
        ]


async def test_one_of_many_concurrent_claims_wins(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        rivals = [await add_company(conn, run_id, f"Rival {number}") for number in range(12)]
    all_connected = asyncio.Barrier(len(rivals))

    async def claim(company: UUID) -> UUID | None:
        # Each has a connection of its own, a phone of its own, and the one domain of all.
        keys = IdentityKeys(domains=("acme.example",), phones=(f"+1512555{company.int % 10_000:04}",), name="Acme")
        async with database.transaction() as conn:
            await all_connected.wait()
            return await companies.claim_identity(conn, run_id, company, keys)

    owners = await asyncio.gather(*(claim(company) for company in rivals))

    winners = [company for company, owner in zip(rivals, owners, strict=True) if owner is None]
    assert len(winners) == 1
    assert {owner for owner in owners if owner is not None} == set(winners)
    async with database.transaction() as conn:
        cursor = await conn.execute("SELECT DISTINCT company_id FROM company_identities WHERE run_id = %s", (run_id,))
        assert [row["company_id"] for row in await cursor.fetchall()] == winners, "losers claimed nothing"


async def test_claims_in_opposite_order_do_not_block_each_other(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        pairs = [(await add_company(conn, run_id, f"a{n}"), await add_company(conn, run_id, f"b{n}")) for n in range(6)]

    async def claim(company: UUID, domains: tuple[str, ...]) -> UUID | None:
        async with database.transaction() as conn:
            return await companies.claim_identity(conn, run_id, company, IdentityKeys(domains=domains, name="x"))

    for number, (one, other) in enumerate(pairs):
        names = (f"one{number}.example", f"two{number}.example")
        owners = await asyncio.wait_for(asyncio.gather(claim(one, names), claim(other, names[::-1])), timeout=10)
        assert sorted(owner is None for owner in owners) == [False, True]


async def test_a_domain_portal_or_phone_makes_a_duplicate(database: Database) -> None:
    for field, value in (
        ("domains", "acme.example"),
        ("portal_accounts", "Buildium:acme"),
        ("phones", "+15125550100"),
    ):
        async with database.transaction() as conn:
            run_id = (await add_run(conn)).run_id
            first = await add_company(conn, run_id, "First")
            second = await add_company(conn, run_id, "Second")
            claims = {field: (value,)}
            assert await companies.claim_identity(conn, run_id, first, IdentityKeys(name="First", **claims)) is None
            assert await companies.claim_identity(conn, run_id, second, IdentityKeys(name="Second", **claims)) == first


async def test_a_retried_claim_stays_with_its_owner(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        company = await add_company(conn, run_id, "Acme")
        keys = IdentityKeys(domains=("acme.example",), name="Acme", city="Austin", state="TX")
        for _ in range(2):
            assert await companies.claim_identity(conn, run_id, company, keys) is None


async def test_a_similar_name_in_the_same_city_is_a_duplicate(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        first = await add_company(conn, run_id, "Lone Star Property Management, LLC")
        await add_research(conn, run_id, first, facts_in(AUSTIN))
        keys = IdentityKeys(domains=("lonestar.example",), name="x", city="Austin", state="TX")
        assert await companies.claim_identity(conn, run_id, first, keys) is None
        twin = await add_company(conn, run_id, "Lone Star Property Management Inc")

        def known_as(name: str, city: str, state: str = "TX") -> IdentityKeys:
            return IdentityKeys(domains=("lonestarpm.example",), name=name, city=city, state=state)

        here = known_as("Lone Star Property Management Inc", "AUSTIN")
        assert await companies.claim_identity(conn, run_id, twin, here) == first
        assert (await companies.get_company(conn, first)).aliases == ("lonestarpm.example",)
        # The same name elsewhere, or another name here, is another company.
        elsewhere = known_as("Lone Star Property Management Inc", "Dallas")
        assert await companies.claim_identity(conn, run_id, twin, elsewhere) is None
        other = await add_company(conn, run_id, "Bluebonnet Rentals")
        another_name = IdentityKeys(name="Bluebonnet Rentals", city="Austin", state="TX")
        assert await companies.claim_identity(conn, run_id, other, another_name) is None


async def test_a_run_that_read_past_reopened_companies_finds_them(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        out, kept, good = [await add_company(conn, run_id, name) for name in ("out", "kept", "good")]
        await companies.end_company(conn, out, CompanyStatus.REJECTED, ReasonCode.PLACE_NOT_MET, "offices elsewhere")
        await companies.end_company(conn, kept, CompanyStatus.REJECTED, ReasonCode.UNITS_NOT_MET)
        await complete(conn, good)
        cursor = await _last_seq(database, run_id)

        assert await companies.reopen_by_reason(conn, run_id, [ReasonCode.PLACE_NOT_MET]) == 1
        again, _ = await companies.list_open_after(conn, run_id, cursor, 10)
        row = await companies.get_company(conn, out)
        assert await companies.funnel(conn, run_id) == {"found": 3, "complete": 1, "open": 1, "units_not_met": 1}

    assert [ref.company_id for ref in again] == [out]
    assert (row.status, row.reason, row.reason_detail) == (CompanyStatus.FOUND, None, "")


async def _last_seq(database: Database, run_id: UUID) -> int:
    # Identity values are given out in order; a new one is above all given so far, committed or not.
    async with database.transaction() as conn:
        request = await add_run(conn)
        await add_company(conn, request.run_id, "marker")
        _, seq = await companies.list_open_after(conn, request.run_id, 0, 10)
    return seq


async def test_the_last_research_wins(database: Database) -> None:
    facts = facts_in(AUSTIN).model_copy(update={"employees": 12})
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        company = await add_company(conn, run_id, "Acme")
        assert await companies.get_research(conn, company) is None
        await add_research(conn, run_id, company, CompanyFacts(), graded=False)
        before = await companies.get_research(conn, company)
        pages = [SitePageRef(url="http://acme.example/", title="Acme")]
        await companies.save_research(
            conn, run_id, company, facts, (), None, pages=pages, dropped={"units:bad": 1}, researched=True
        )
        after = await companies.get_research(conn, company)

    assert before is not None
    assert not before.researched
    assert after is not None
    assert (after.facts, after.pages, after.researched) == (facts, tuple(pages), True)


async def test_people_are_stored_once_and_selected_in_order(database: Database) -> None:
    owner, manager, other = person("Ann Lee"), person("Bo Day", "Property Manager"), person("Cy Fox", "Office Manager")
    newer = person("ANN  LEE", "Broker/Owner", email="ann@acme.example")
    assert person_key(owner.full_name) == person_key(newer.full_name)
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        company = await add_company(conn, run_id, "Acme")
        await contacts.save_people(conn, run_id, company, [other, manager, owner])
        await contacts.save_people(conn, run_id, company, [newer])
        people = await contacts.list_people(conn, company)
        await contacts.set_selection(conn, company, [owner, manager])
        await contacts.set_selection(conn, company, [manager, newer])
        cursor = await conn.execute("SELECT full_name, rank FROM contact_candidates ORDER BY rank")
        ranks = [(row["full_name"], row["rank"]) for row in await cursor.fetchall()]

    assert people == [newer, manager, other]
    assert isinstance(people[0], Person)
    assert ranks == [("Bo Day", 1), ("ANN  LEE", 2), ("Cy Fox", None)]
