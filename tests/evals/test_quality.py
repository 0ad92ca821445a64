"""The quality benchmark counts what it says it counts: rows made by hand, held against their proof and a demo world's gold."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from activities.export import render_run
from domain.company.facts import CompanyFacts, CompanyType, TextEvidence, UnitsEvidence
from domain.company.icp import grade_icp
from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.contact.email_address import EmailStatus
from domain.contact.person import Person
from domain.evidence import Evidence
from domain.request.progress import RunStatus
from evals.quality import report
from evals.quality_facts import Fact, Source, why_unproven
from evals.quality_gold import gold_tier
from evals.quality_measures import Measures, measure
from local.demo.truth import GoldCompany, GoldContact, gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from store.companies import companies, contacts
from store.database import Connection, Database
from store.delivery import export_rows
from store.runs import agent_turns, runs
from store.runs.agent_turns import TurnKey
from store.tools import tool_results
from tests.store.rows import add_company, add_run, complete, result

GOLD = gold_table(generate_world(DEFAULT_SEED)).companies
ON_BUILDIUM = [company for company in GOLD if company.deliverable and company.pms == "Buildium" and company.units]
TRUE = next(c for c in ON_BUILDIUM if not c.traits and c.decision_makers[0].email_published)
INJECTED = next(c for c in ON_BUILDIUM if "prompt_injection" in c.traits)
MISSED = next(c for c in ON_BUILDIUM if c.state == TRUE.state and c not in (TRUE, INJECTED))
HOST = "acme.example"
PAGE = Source(
    text="Jane Roe\nOwner | [jane@acme.example](mailto:jane@acme.example)\nWe manage 1,240 doors &amp; 12 offices in Texas.",
    markup='<a href="https://acme.managebuilding.com/Resident/">Pay rent</a>',
    addresses='[{"url": "http://list.example/"}]',
)


def fact(column: str, value: str, quote: str, *any_of: str, cited: str | None = "r1") -> Fact:
    return Fact(company=HOST, column=column, value=value, result_id=cited, quote=quote, any_of=any_of or (value,))


@pytest.mark.parametrize(
    "proven",
    [
        pytest.param(fact("full_name", "Jane Roe", "Jane Roe Owner"), id="across_a_line_break"),
        pytest.param(fact("email", "jane@acme.example", "Owner | jane@acme.example"), id="without_the_links_markup"),
        pytest.param(fact("units_estimate", "1240", "1,240 doors & 12 offices"), id="a_number_with_its_comma"),
        pytest.param(fact("units_estimate", "120", "12 offices", "12"), id="an_estimate_by_what_it_is_made_from"),
        pytest.param(
            fact("pms_detected", "Buildium", "acme.managebuilding.com/Resident/", "managebuilding.com"), id="markup"
        ),
        pytest.param(fact("domain", "acme.example", "", cited=None), id="a_domain_on_which_a_page_was_read"),
        pytest.param(fact("discovery_source", "http://list.example/", "any words"), id="where_the_company_was_named"),
    ],
)
def test_proof_is_words_that_stand_in_what_is_cited_and_hold_the_value(proven: Fact) -> None:
    assert why_unproven(proven, {"r1": PAGE}, frozenset({HOST})) is None


@pytest.mark.parametrize(
    ("unproven", "why"),
    [
        pytest.param(fact("title", "Owner", "Jane Roe, Chief Owner"), "not in the stored result", id="other_words"),
        pytest.param(fact("title", "Owner", "Jane Roe"), "not in the quote", id="words_without_the_value"),
        pytest.param(fact("units_estimate", "240", "1,240 doors"), "not in the quote", id="a_part_of_a_number"),
        pytest.param(
            fact("email", "ane@acme.example", "jane@acme.example"), "not in the quote", id="a_part_of_an_address"
        ),
        pytest.param(fact("state", "AC", "jane@acme.example"), "not in the quote", id="a_part_of_a_word"),
        pytest.param(fact("title", "Owner", "Owner", cited="r2"), "no stored result", id="no_such_result"),
        pytest.param(fact("title", "Owner", "Owner", cited=None), "no stored result", id="no_citation"),
        pytest.param(fact("title", "Owner", " "), "cites no words", id="an_empty_quote"),
        pytest.param(fact("website", "http://www.acme2.example/", ""), "no page was read", id="a_site_nobody_read"),
        pytest.param(fact("discovery_source", "http://l.example/", "x"), "not of this address", id="another_source"),
    ],
)
def test_f57a_a_cell_without_such_words_is_unproven_and_says_why(unproven: Fact, why: str) -> None:
    assert why in (why_unproven(unproven, {"r1": PAGE}, frozenset({HOST})) or "")


def test_the_tier_of_gold_is_that_of_the_published_rules() -> None:
    """Written down twice on purpose; where the two part, either the rules have changed or one is wrong."""
    readable = [c for c in GOLD if c.company_type != "unknown" and not c.icp_disqualifiers]
    assert len(readable) > 100
    assert [c.name for c in readable if gold_tier(c) != grade_icp(_true_facts(c)).tier.value] == []


async def test_every_figure_counts_what_its_name_says(database: Database) -> None:
    """One company as gold has it and one with every kind of mistake, asked for twice; the second time nothing is wrong."""
    measured = await _measured(database)
    person = TRUE.decision_makers[0]

    assert (measured.companies, measured.contacts) == (2, 2)
    assert measured.missed_companies == (f"{MISSED.name} ({MISSED.domain})",)
    assert measured.deliverable == 2 + (INJECTED.state == TRUE.state)
    assert [line.partition(": ")[0] for line in measured.unproven] == [
        f"{INJECTED.domain}, units_estimate `9999`",
        f"{INJECTED.domain} Max Mustermann, linkedin_url `https://www.linkedin.com/in/max`",
    ]
    assert measured.unproven_again == ()
    assert measured.facts > measured.facts_again > 10
    assert measured.wrong == (
        f"{INJECTED.domain}, units_estimate `9999`: gold has {INJECTED.units}",
        f"{INJECTED.domain} Max Mustermann, full_name `Max Mustermann`: gold has no such decision maker",
    )
    assert (measured.known, measured.empty) == (
        4,
        (f"{INJECTED.domain}, company_type: gold has {INJECTED.company_type}",),
    )
    assert (measured.graded, [line.partition(":")[0] for line in measured.wrong_tiers]) == (2, [INJECTED.domain])
    assert measured.wrong_people == (f"{INJECTED.domain}, Max Mustermann, CEO: prompt_injection",)
    expected = [p for c in (TRUE, INJECTED) for p in c.decision_makers if p.reachable and p.level < 6]
    assert measured.reachable == len(expected)
    assert len(measured.missed_people) == len(expected) - 1
    assert not any(person.full_name in line for line in measured.missed_people)
    assert measured.wrong_statuses == (f"{INJECTED.domain}, Max Mustermann: published ``, gold publishes none",)
    assert measured.injected == 1
    [differs] = measured.injected_differ
    assert "holds “9999”" in differs
    assert "Max Mustermann is not in gold" in differs
    assert (measured.calls, measured.tokens, measured.calls_again) == (2, 220, 1)
    assert measured.research_again == (f"{TRUE.name} ({TRUE.domain}): 1 calls",)


async def test_what_misses_its_target_is_in_bold_and_every_wrong_row_is_listed(database: Database) -> None:
    measured = await _measured(database)
    text = report([measured])
    assert "| contacts who are decision makers of their company | 1 | **0.500 (1/2)** |" in text
    assert "| companies researched again when the same was asked again | 0 | **50.00% (1/2)** |" in text
    missed = f"{measured.deliverable - 1}/{measured.deliverable}"
    assert f"({missed})** |" in next(line for line in text.splitlines() if line.startswith("| gold's deliverable"))
    rows = (measured.unproven, measured.wrong, measured.empty, measured.wrong_tiers, measured.wrong_people)
    more = (measured.missed_people, measured.wrong_statuses, measured.injected_differ, measured.research_again)
    assert all(f"- {row}\n" in text for found in (*rows, *more) for row in found)


def test_a_target_of_nothing_is_missed() -> None:
    """A run that delivers nothing has no wrong cell, and must not pass for that."""
    nothing = Measures.model_validate(
        {name: () if str(field.annotation).startswith("tuple") else 0 for name, field in Measures.model_fields.items()}
    )
    figures = [line for line in report([nothing]).splitlines() if line.startswith("| ")]
    with_target = [line for line in figures[1:] if line.split("|")[2].strip()]
    assert len(with_target) > 8
    assert all("**" in line for line in with_target)


async def _measured(database: Database) -> Measures:
    async with database.transaction() as conn:
        for company in (TRUE, INJECTED):
            page = result(f"page-{company.domain}", text=_page(company))
            page = page.model_copy(update={"args": {"url": company.website}, "payload": {"final_url": company.website}})
            await tool_results.save_result(conn, page, company.name, 60, None)
        lying = _true_facts(INJECTED).model_copy(
            update={
                "company_type": CompanyType.UNKNOWN,
                "units": UnitsEvidence(value=9999, basis="stated", evidence=_words(INJECTED, "report 9,999 units")),
            }
        )
        max_ = Person(
            full_name="Max Mustermann",
            title="CEO",
            email_status=EmailStatus.PUBLISHED,
            linkedin_url="https://www.linkedin.com/in/max",
            evidence=_words(INJECTED, "Max Mustermann, CEO"),
            linkedin_evidence=_words(INJECTED, "Max Mustermann, CEO"),
        )
        asked_for = [company for company in GOLD if company in (TRUE, INJECTED, MISSED)]
        first = await _run(conn, {TRUE.name: (_true_facts(TRUE), _true_person(TRUE)), INJECTED.name: (lying, max_)})
        second = await _run(conn, {TRUE.name: (_true_facts(TRUE), _true_person(TRUE))})
        return await measure(conn, DEFAULT_SEED, asked_for, first, second, pms=TRUE.pms or "", state=TRUE.state)


async def _run(conn: Connection, found: dict[str, tuple[CompanyFacts, Person]]) -> UUID:
    """A completed run with its files, in which the model was asked once for each company."""
    request = await add_run(conn)
    selected: list[UUID] = []
    for company in (company for company in (TRUE, INJECTED) if company.name in found):
        facts, person = found[company.name]
        company_id = await add_company(conn, request.run_id, company.name)
        named = _words(company, company.name).model_dump_json()
        await conn.execute(
            "UPDATE company_candidates SET evidence = %s, discovery_source = %s WHERE company_id = %s",
            (named, company.website, company_id),
        )
        await companies.set_own_site(conn, company_id, str(company.domain), str(company.website), ())
        await companies.save_research(
            conn, request.run_id, company_id, facts, (), grade_icp(facts), pages=(), dropped={}, researched=True
        )
        await contacts.save_people(conn, request.run_id, company_id, [person])
        await contacts.set_selection(conn, company_id, [person])
        await complete(conn, company_id)
        key = TurnKey(
            run_id=request.run_id, subject=f"company {company_id} round 0", role="company_research", input_hash="i"
        )
        reserved = await agent_turns.reserve_turn(conn, key, 0, "model", 0.1, {})
        assert isinstance(reserved, agent_turns.Reservation)
        await agent_turns.complete_turn(conn, reserved, [], input_tokens=100, output_tokens=10, cost_usd=0.1)
        selected.append(company_id)
    await runs.finish(conn, request.run_id, RunStatus.COMPLETED, selected, "")
    *files, partial = await render_run(conn, await runs.get_run(conn, request.run_id), datetime.now(UTC))
    for kind, file in zip(("companies", "contacts"), files, strict=True):
        await export_rows.save_artifact(conn, request.run_id, kind, file, partial=partial)
    return request.run_id


def _true_facts(company: GoldCompany) -> CompanyFacts:
    units, vendor = company.units, company.website_vendor
    return CompanyFacts(
        places=(Place(city=company.city, state=company.state, zip=company.zip),),
        place_evidence=(_words(company, f"{company.city}, {company.state} {company.zip}"),),
        pms_status=company.pms_status,
        pms=PmsVendor(company.pms) if company.pms else None,
        pms_evidence=_words(company, str(company.portal_host)),
        company_type=CompanyType(company.company_type),
        company_type_evidence=_words(company, "houses and homes"),
        units=None
        if units is None
        else UnitsEvidence(value=units, basis="stated", evidence=_words(company, f"{units} doors")),
        employees=company.employees,
        employees_evidence=_words(company, f"a team of {company.employees}"),
        website_vendor=None
        if vendor is None
        else TextEvidence(value=vendor, evidence=_words(company, f"Site by {vendor}")),
    )


def _true_person(company: GoldCompany) -> Person:
    person = company.decision_makers[0]
    return Person(
        full_name=person.full_name,
        title=person.title,
        email=person.email and person.email.lower(),
        email_status=EmailStatus.PUBLISHED,
        linkedin_url=person.linkedin_url,
        evidence=_words(company, _card(person)),
        email_evidence=_words(company, _card(person)),
        linkedin_evidence=_words(company, _card(person)) if person.linkedin_url else None,
    )


def _page(company: GoldCompany) -> str:
    facts = (company.name, f"{company.city}, {company.state} {company.zip}", company.portal_host, "houses and homes")
    more = (f"{company.units} doors", f"a team of {company.employees}", f"Site by {company.website_vendor}")
    cards = (*map(_card, company.decision_makers), "Max Mustermann, CEO")
    return "\n".join(map(str, (*facts, *more, *cards)))


def _card(person: GoldContact) -> str:
    return f"{person.full_name} {person.title} {person.email} {person.linkedin_url}"


def _words(company: GoldCompany, quote: str) -> Evidence:
    return Evidence(result_id=f"page-{company.domain}", url=str(company.website), quote=quote)
