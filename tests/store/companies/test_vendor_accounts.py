"""Imported accounts: one row per vendor and account."""

from __future__ import annotations

from typing import Any

from domain.company.pms_vendors import PmsVendor
from domain.imports.rows import Seed
from store.companies import vendor_accounts
from store.companies.imported import ImportCounts
from store.database import Database


def seed(slug: str, **hints: str) -> Seed:
    return Seed(vendor=PmsVendor.BUILDIUM, slug=slug, **hints)


async def _import(database: Database, *given: Seed, source: str = "list.csv") -> ImportCounts:
    async with database.transaction() as conn:
        assert await vendor_accounts.fill_staging_table(conn, given, source) == len(given)
        return await vendor_accounts.merge_staging_table(conn)


async def _rows(database: Database) -> list[dict[str, Any]]:
    async with database.transaction() as conn:
        return await (await conn.execute("SELECT * FROM pms_subdomains ORDER BY vendor, slug")).fetchall()


async def test_a_second_import_changes_nothing(database: Database) -> None:
    given = (seed("acme", company_name="Acme", state="TX"), seed("birch"))
    assert await _import(database, *given) == ImportCounts(new=2)
    before = await _rows(database)

    assert await _import(database, *given, source="again.csv") == ImportCounts(unchanged=2)

    assert await _rows(database) == before
    assert [(row["slug"], row["source"]) for row in before] == [("acme", "list.csv"), ("birch", "list.csv")]


async def test_a_later_list_never_empties_a_field(database: Database) -> None:
    await _import(database, seed("acme", company_name="Acme", city="Austin"))

    assert await _import(database, seed("acme", city="Dallas", phone="+15125550100"), source="new.csv") == ImportCounts(
        updated=1
    )

    [row] = await _rows(database)
    assert (row["company_name"], row["city"], row["phone"]) == ("Acme", "Dallas", "+15125550100")
    assert row["source"] == "new.csv"


async def test_another_portal_url_changes_nothing(database: Database) -> None:
    await _import(database, seed("acme", company_name="Acme", portal_url="https://acme.managebuilding.com/Resident"))
    again = seed("acme", company_name="Acme", portal_url="https://acme.managebuilding.com/")

    assert await _import(database, again, source="other.csv") == ImportCounts(unchanged=1)

    [row] = await _rows(database)
    assert (row["portal_url"], row["source"]) == ("https://acme.managebuilding.com/Resident", "list.csv")


async def test_the_first_row_of_an_account_counts(database: Database) -> None:
    twice = (seed("acme", company_name="First"), seed("acme", company_name="Second"))
    assert await _import(database, *twice) == ImportCounts(new=1)
    assert await _import(database, *twice) == ImportCounts(unchanged=1)
    assert [row["company_name"] for row in await _rows(database)] == ["First"]
