"""The rows of the two files."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from domain.company.facts import CompanyFacts, CompanyType, TextEvidence, UnitsEvidence
from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.delivery.columns import COMPANY_COLUMNS, CONTACT_COLUMNS
from domain.delivery.csv_files import CsvFile
from store.companies import companies, contacts
from store.database import Connection, Database
from store.delivery import export_rows
from tests.store.rows import EVIDENCE, add_company, add_research, add_run, complete, facts_in, person

FACTS = facts_in(Place(city="Austin", state="TX"), Place(city="Tulsa", state="OK")).model_copy(
    update={
        "pms_status": "detected",
        "pms": PmsVendor.BUILDIUM,
        "company_type": CompanyType.SINGLE_FAMILY,
        "units": UnitsEvidence(value=1240, basis="stated", evidence=EVIDENCE),
        "description": TextEvidence(value="Family owned since 1990.", evidence=EVIDENCE),
    }
)


async def _company(conn: Connection, run_id: UUID, name: str, facts: CompanyFacts, *, graded: bool = True) -> UUID:
    company = await add_company(conn, run_id, name)
    await companies.set_own_site(conn, company, f"{name.lower()}.example", f"http://{name.lower()}.example/", [])
    await add_research(conn, run_id, company, facts, graded=graded)
    await complete(conn, company)
    return company


async def test_every_column_is_filled_from_proven_facts(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        (row,) = await export_rows.company_rows(conn, [await _company(conn, run_id, "Acme", FACTS)])

    assert tuple(row) == COMPANY_COLUMNS
    assert row.pop("created_at").tzinfo is not None
    assert row == {
        "company_name": "Acme",
        "domain": "acme.example",
        "website": "http://acme.example/",
        "state": "TX",
        "pms_detected": "Buildium",
        "units_estimate": 1240,
        "company_type": "single_family",
        "description": "Family owned since 1990.",
        "discovery_source": "http://list.example/",
        "icp_fit": "yes",
        "icp_tier": "A+",
        "icp_confidence": row["icp_confidence"],
        "disqualifiers": None,
    }
    assert 0 < row["icp_confidence"] < 1


async def test_an_unknown_value_is_an_empty_cell(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        (row,) = await export_rows.company_rows(conn, [await _company(conn, run_id, "Acme", CompanyFacts())])

    unknown = ("state", "pms_detected", "units_estimate", "company_type", "description", "disqualifiers")
    assert {name: row[name] for name in unknown} == dict.fromkeys(unknown)
    assert row["icp_fit"] == "uncertain"


async def test_rows_are_in_selection_order(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        ids = [await _company(conn, run_id, name, FACTS) for name in ("Zeta", "Alpha", "Mid")]
        for order in (ids, ids[::-1]):
            rows = await export_rows.company_rows(conn, order)
            names = {ids[0]: "Zeta", ids[1]: "Alpha", ids[2]: "Mid"}
            assert [row["company_name"] for row in rows] == [names[company] for company in order]


@pytest.mark.parametrize("lacking", ["grade", "company"])
async def test_a_selected_company_without_research_is_an_error(database: Database, lacking: str) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        good = await _company(conn, run_id, "Acme", FACTS)
        bad = await _company(conn, run_id, "Ungraded", FACTS, graded=False) if lacking == "grade" else uuid4()
        with pytest.raises(LookupError, match="1 selected companies"):
            await export_rows.company_rows(conn, [good, bad])


async def test_an_empty_selection_gives_empty_files(database: Database) -> None:
    async with database.transaction() as conn:
        assert await export_rows.company_rows(conn, []) == []
        assert await export_rows.contact_rows(conn, []) == []
        assert await export_rows.count_selected_contacts(conn, []) == 0


async def test_contact_rows_are_selected_people_best_first(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        one, two, unselected = [await _company(conn, run_id, name, FACTS) for name in ("One", "Two", "Unselected")]
        owner, manager, spare = person("Ann Lee"), person("Bo Day", "Property Manager"), person("Cy Fox")
        for company in (one, two, unselected):
            await contacts.save_people(conn, run_id, company, [spare, manager, owner])
            await contacts.set_selection(conn, company, [owner, manager])
        rows = await export_rows.contact_rows(conn, [two, one])
        count = await export_rows.count_selected_contacts(conn, [two, one])

    assert [(row["company_name"], row["full_name"]) for row in rows] == [
        ("Two", "Ann Lee"),
        ("Two", "Bo Day"),
        ("One", "Ann Lee"),
        ("One", "Bo Day"),
    ]
    assert count == len(rows)
    assert tuple(rows[0]) == CONTACT_COLUMNS
    assert (rows[0]["company_domain"], rows[0]["company_state"], rows[0]["seniority"]) == ("two.example", "TX", "owner")


async def test_reading_rows_changes_nothing(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        company = await _company(conn, run_id, "Acme", FACTS)
        before = await companies.get_company(conn, company)
        await conn.execute("SET TRANSACTION READ ONLY")
        await export_rows.company_rows(conn, [company])
        await export_rows.contact_rows(conn, [company])
        assert await companies.get_company(conn, company) == before


async def test_a_rendered_file_replaces_the_stored_one(database: Database) -> None:
    first = CsvFile(name="companies_1.csv", content=b"company_name\n\xc3\x84cme\n", rows=1)
    second = CsvFile(name="companies_2.csv", content=b"company_name\n", rows=0)
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        assert await export_rows.load_artifact(conn, run_id, "companies") is None
        await export_rows.save_artifact(conn, run_id, "companies", first, partial=True)
        assert await export_rows.load_artifact(conn, run_id, "companies") == (first, True)
        await export_rows.save_artifact(conn, run_id, "companies", second, partial=False)
        assert await export_rows.load_artifact(conn, run_id, "companies") == (second, False)
        assert await export_rows.load_artifact(conn, run_id, "contacts") is None
