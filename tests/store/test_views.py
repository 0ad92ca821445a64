"""The four views that users of the earlier schema query, by the names and meanings they know."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.company.status import CompanyStatus, ReasonCode
from domain.company.suppression import Suppression
from store.companies import companies, contacts, suppressions
from store.database import Connection, Database
from tests.store.rows import add_company, add_run, complete, person


async def _rows(conn: Connection, query: bytes, run_id: UUID | None = None) -> list[dict[str, Any]]:
    return await (await conn.execute(query, (run_id,) if run_id else None)).fetchall()


async def test_company_gap_is_never_negative(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn, target=2)).run_id
        gaps = []
        for number in range(4):
            company = await add_company(conn, run_id, f"Company {number}")
            if number:
                await complete(conn, company)
            (row,) = await _rows(conn, b"SELECT * FROM v_company_gap WHERE run_id = %s", run_id)
            gaps.append((row["companies_ready"], row["companies_gap"]))

    assert gaps == [(0, 2), (1, 1), (2, 0), (3, 0)]
    assert (row["stage"], row["status"], row["target_quantity"]) == ("company_discovery", "active", 2)


async def test_a_run_without_companies_has_the_full_gap(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn, target=3)).run_id
        (row,) = await _rows(conn, b"SELECT * FROM v_company_gap WHERE run_id = %s", run_id)
        assert await _rows(conn, b"SELECT * FROM v_contact_gap WHERE run_id = %s", run_id) == []
    assert (row["companies_ready"], row["companies_gap"]) == (0, 3)


async def test_contact_gap_counts_selected_people(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn, contacts_min=2)).run_id
        full, short, gone = [await add_company(conn, run_id, name) for name in ("Full", "Short", "Gone")]
        people = [person("Ann Lee"), person("Bo Day"), person("Cy Fox")]
        for company, selected in ((full, people), (short, people[:1]), (gone, [])):
            await contacts.save_people(conn, run_id, company, people)
            await contacts.set_selection(conn, company, selected)
        await complete(conn, full)
        await companies.end_company(conn, gone, CompanyStatus.REJECTED, ReasonCode.CONTACTS_SHORT)
        each = await _rows(conn, b"SELECT * FROM v_contact_gap_per_company WHERE run_id = %s ORDER BY name", run_id)
        (total,) = await _rows(conn, b"SELECT * FROM v_contact_gap WHERE run_id = %s", run_id)

    assert [(row["name"], row["contacts_ready"], row["contacts_gap"]) for row in each] == [
        ("Full", 3, 0),
        ("Short", 1, 1),
    ]
    assert (total["contacts_ready"], total["contacts_gap"]) == (4, 1)


async def test_blocked_domains_list_each_reason_once(database: Database) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    async with database.transaction() as conn:
        await suppressions.upsert(
            conn,
            [
                Suppression(domain="acme.example", reason="customer", source="crm"),
                Suppression(domain="acme.example", reason="contacted", contacted_at=at, source="crm"),
                Suppression(name="Nameless LLC", state="TX", reason="customer", source="crm"),
            ],
        )
        rows = await _rows(conn, b"SELECT * FROM v_blocked_domains ORDER BY domain, reason")
    assert rows == [
        {"domain": "acme.example", "reason": "contacted"},
        {"domain": "acme.example", "reason": "customer"},
    ]
