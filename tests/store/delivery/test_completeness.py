"""What the completeness report counts."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.company.facts import CompanyFacts, TextEvidence, UnitsEvidence
from domain.company.icp import grade_icp
from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.delivery.completeness import ColumnCount, count_columns
from store.companies import companies, contacts
from store.companies.companies import SitePageRef
from store.database import Connection, Database
from store.delivery import completeness
from store.runs import agent_turns
from store.runs.agent_turns import TurnKey
from store.tools import tool_results
from tests.store.rows import EVIDENCE, add_company, add_run, complete, person, result

FORGOTTEN = EVIDENCE.model_copy(update={"result_id": "r-gone"})
FACTS = CompanyFacts(
    places=(Place(city="Austin", state="TX"),),
    place_evidence=(EVIDENCE,),
    pms_status="detected",
    pms=PmsVendor.BUILDIUM,
    pms_evidence=EVIDENCE,
    units=UnitsEvidence(value=1240, basis="stated", evidence=EVIDENCE),
    description=TextEvidence(value="Family owned since 1990.", evidence=FORGOTTEN),
)


async def _company(
    conn: Connection, run_id: UUID, name: str, facts: CompanyFacts, dropped: dict[str, int] | None = None
) -> UUID:
    company_id, site = await add_company(conn, run_id, name), f"http://{name.lower()}.example/"
    await companies.set_own_site(conn, company_id, f"{name.lower()}.example", site, [])
    pages = [SitePageRef(url=f"{site}about", title="About")] if facts.places else []
    await companies.save_research(
        conn, run_id, company_id, facts, (), grade_icp(facts), pages=pages, dropped=dropped or {}, researched=True
    )
    await complete(conn, company_id)
    return company_id


async def _counts(conn: Connection, ids: list[UUID]) -> dict[str, ColumnCount]:
    counts = count_columns(*await completeness.delivered_rows(conn, ids))
    return {f"{count.file}.{count.column}": count for count in counts}


async def test_rates_come_from_the_delivered_rows(database: Database) -> None:
    async with database.transaction() as conn:
        await tool_results.save_result(conn, result("r1"), "any", 60, None)
        run_id = (await add_run(conn)).run_id
        ids = [await _company(conn, run_id, "Acme", FACTS), await _company(conn, run_id, "Bolt", CompanyFacts())]
        await _company(conn, run_id, "Unselected", FACTS)
        found = await _counts(conn, ids)

    shown = {name: (count.filled, count.proven) for name, count in found.items() if name.startswith("companies.")}
    assert {count.rows for name, count in found.items() if name.startswith("companies.")} == {2}
    assert shown == {
        "companies.company_name": (2, 2),
        "companies.domain": (2, 1),  # nothing of Bolt's site was read
        "companies.website": (2, 1),
        "companies.state": (1, 1),
        "companies.pms_detected": (1, 1),
        "companies.units_estimate": (1, 1),
        "companies.company_type": (0, 0),
        "companies.description": (1, 0),  # its words are in no stored result
        "companies.discovery_source": (2, None),
        "companies.icp_fit": (2, None),
        "companies.icp_tier": (2, None),
        "companies.icp_confidence": (2, None),
        "companies.disqualifiers": (0, None),
        "companies.created_at": (2, None),
    }


async def test_a_contact_is_proven_by_its_own_words(database: Database) -> None:
    def reached(name: str, **more: Any) -> Any:
        return person(name, email=f"{name[:3].lower()}@acme.example").model_copy(update=more)

    printed = reached("Ann Lee", email_evidence=EVIDENCE, note="Founder", note_evidence=EVIDENCE)
    inferred = reached("Bo Day", email_evidence=EVIDENCE, email_basis="first@ as ann@ and cy@")
    linked = person("Cy Fox").model_copy(
        update={"linkedin_url": "https://www.linkedin.com/in/cy", "linkedin_evidence": EVIDENCE}
    )
    async with database.transaction() as conn:
        await tool_results.save_result(conn, result("r1"), "any", 60, None)
        run_id = (await add_run(conn)).run_id
        company_id = await _company(conn, run_id, "Acme", FACTS)
        people = [printed, inferred, linked]
        await contacts.save_people(conn, run_id, company_id, [*people, person("Not Selected")])
        await contacts.set_selection(conn, company_id, people)
        found = await _counts(conn, [company_id])

    shown = {name: (count.filled, count.proven) for name, count in found.items() if name.startswith("contacts.")}
    assert found["contacts.full_name"].rows == 3
    assert shown["contacts.full_name"] == shown["contacts.title"] == (3, 3)
    assert shown["contacts.email"] == (2, 1)
    assert shown["contacts.linkedin_url"] == shown["contacts.personalization_notes"] == (1, 1)
    assert shown["contacts.company_state"] == (3, None)


async def test_a_delivered_company_without_research_is_an_error(database: Database) -> None:
    async with database.transaction() as conn:
        with pytest.raises(LookupError, match="1 selected companies"):
            await completeness.delivered_rows(conn, [uuid4()])


async def test_dropped_claims_add_up_and_a_retry_counts_once(
    database: Database,
) -> None:
    async with database.transaction() as conn:
        run_id, other = (await add_run(conn)).run_id, (await add_run(conn)).run_id
        one = await _company(conn, run_id, "Acme", FACTS, {"units:value_not_in_quote": 1, "description:bad_quote": 2})
        two = await _company(conn, run_id, "Bolt", FACTS, {"units:value_not_in_quote": 1})
        await _company(conn, other, "Other", FACTS, {"units:value_not_in_quote": 50})
        for step, dropped in (
            ("find 0.1", {"email:obfuscated": 9}),
            ("find 0.1", {"email:obfuscated": 1}),
            ("find 0.2", {"email:obfuscated": 1, "person:not_named": 1}),
        ):
            await completeness.save_contacts_dropped(conn, one, step, dropped)
        await completeness.save_contacts_dropped(conn, two, "find 0.1", {"email:obfuscated": 1})
        # Judged again: what was dropped from the contacts stays.
        await companies.save_research(conn, run_id, two, FACTS, (), None, pages=(), dropped={}, researched=True)
        found = await completeness.dropped_claims(conn, run_id)

    assert list(found.items()) == [
        ("email:obfuscated", 3),
        ("description:bad_quote", 2),
        ("person:not_named", 1),
        ("units:value_not_in_quote", 1),
    ]


async def test_unpriced_calls_are_counted_by_model(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        for number, (model, usd, tokens) in enumerate(
            [("new", 0.0, 7), ("new", 0.0, 5), ("old", 0.1, 9), ("new", 0.0, 0)]
        ):
            key = TurnKey(run_id=run_id, subject=f"company {number}", role="company_research", input_hash="h")
            reserved = await agent_turns.reserve_turn(conn, key, 0, model, 0.1, None)
            assert isinstance(reserved, agent_turns.Reservation)
            await agent_turns.complete_turn(conn, reserved, [], input_tokens=tokens, output_tokens=tokens, cost_usd=usd)
        unpriced = await completeness.unpriced_calls(conn, run_id)

    assert [each.model_dump() for each in unpriced] == [
        {"model": "new", "calls": 2, "input_tokens": 12, "output_tokens": 12}
    ]
