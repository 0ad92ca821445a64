"""From what the research agent states to what is proven (DESIGN, promise 3; LESSONS F43, F57a, F58)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agents.roles.company_research import ResearchOutput
from domain.company.facts import CompanyFacts, CompanyType
from domain.company.pms_vendors import PmsVendor
from grounding.company_facts import proven_facts
from store.tools.tool_results import ToolResult

ACME = frozenset({"acme.example"})
TEXT = (
    "Acme manages 1,240 single family homes for owners in Austin and Round Rock.\n"
    "36 homes for rent. A team of 12 people. Member of NARPM. Website by DoorGrow."
)
EMPTY: dict[str, Any] = {
    "company_type": None,
    "manages_for_owners": None,
    "closed": None,
    "units": None,
    "listings": None,
    "employees": None,
    "description": None,
    "website_vendor": None,
    "associations": [],
    "places_served": [],
}
KNOWN = CompanyFacts(pms_status="detected", pms=PmsVendor.BUILDIUM, pms_slug="acme")


def result(result_id: str, url: str, text: str = TEXT) -> ToolResult:
    return ToolResult(
        result_id=result_id,
        tool="fetch_page",
        args={"url": url},
        status="ok",
        payload={"final_url": url},
        text=text,
        fetched_at=datetime(2031, 1, 1, tzinfo=UTC),
    )


RESULTS = {"own": result("own", "https://acme.example/"), "other": result("other", "https://bolt.example/")}


def claim(value: object, quote: str, result_id: str = "own") -> dict[str, Any]:
    return {"value": value, "citation": {"result_id": result_id, "quote": quote}}


def proven(**claims: Any) -> tuple[CompanyFacts, dict[str, int]]:
    return proven_facts(KNOWN, ResearchOutput.model_validate({**EMPTY, **claims}), RESULTS, ACME)


def test_f43_every_claim_that_holds_becomes_a_fact_with_its_evidence() -> None:
    facts, dropped = proven(
        company_type=claim("single_family", "1,240 single family homes"),
        manages_for_owners=claim(True, "homes for owners"),
        units=claim(1240, "Acme manages 1,240 single family homes"),
        listings=claim(36, "36 homes for rent"),
        employees=claim(12, "A team of 12 people"),
        description=claim(
            "Acme manages 1,240 single family homes", "Acme manages 1,240 single family homes for owners"
        ),
        website_vendor=claim("DoorGrow", "Website by DoorGrow"),
        associations=[claim("NARPM", "Member of NARPM")],
        places_served=[claim("Austin", "owners in Austin"), claim("Round Rock", "Austin and Round Rock")],
    )
    assert dropped == {}
    assert facts.company_type is CompanyType.SINGLE_FAMILY and facts.manages_for_owners is True
    assert facts.units is not None and (facts.units.value, facts.units.basis) == (1240, "stated")
    assert facts.employees == 12
    assert facts.website_vendor is not None and facts.website_vendor.value == "DoorGrow"
    assert [fact.value for fact in facts.associations] == ["NARPM"]
    assert [fact.value for fact in facts.places_served] == ["Austin", "Round Rock"]
    assert facts.description is not None
    for evidence in (
        facts.company_type_evidence,
        facts.manages_evidence,
        facts.units.evidence,
        facts.employees_evidence,
        facts.description.evidence,
    ):
        assert evidence is not None and evidence.result_id == "own" and evidence.quote in TEXT


def test_f58_what_nobody_states_stays_unknown_and_what_code_found_stays() -> None:
    facts, dropped = proven()
    assert facts == KNOWN and dropped == {}


@pytest.mark.parametrize(
    ("field", "value", "quote", "problem"),
    [
        ("units", 240, "manages 1,240 single family homes", "value_not_in_quote"),
        ("units", 1240, "Acme manages", "value_not_in_quote"),
        ("units", 9999, "manages 9,999 single family homes", "quote_not_found"),
        ("units", 12, "A team of 12 people", "counts_something_else"),
        ("listings", 12, "A team of 12 people", "counts_something_else"),
        ("units", 0, "0", "value_not_in_quote"),
        ("units", -1240, "-1240", "value_not_in_quote"),
        ("units", 1_000_001, "1,000,001 homes", "value_not_in_quote"),
        ("employees", 100_001, "100,001 people", "value_not_in_quote"),
        ("listings", 1240, "A team of 12", "value_not_in_quote"),
        ("website_vendor", "PMW", "Website by DoorGrow", "value_not_in_quote"),
        ("website_vendor", "PMW", "Website by PMW", "quote_not_found"),
        ("description", "The best in Texas", "Acme manages", "value_not_in_quote"),
        ("company_type", "hoa", "We manage associations", "quote_not_found"),
        ("manages_for_owners", False, "We do not manage", "quote_not_found"),
    ],
)
def test_f57a_a_claim_without_its_words_is_dropped_and_counted(
    field: str, value: object, quote: str, problem: str
) -> None:
    facts, dropped = proven(**{field: claim(value, quote)})
    assert facts == KNOWN
    assert dropped == {f"{field}:{problem}": 1}


@pytest.mark.parametrize("result_id", ["other", "invented"])
@pytest.mark.parametrize(
    ("field", "value", "quote"),
    [
        ("units", 1240, "1,240 single family homes"),
        ("company_type", "single_family", "1,240 single family homes"),
        ("manages_for_owners", True, "homes for owners"),
        ("website_vendor", "DoorGrow", "Website by DoorGrow"),
    ],
)
def test_another_companys_page_proves_nothing(field: str, value: object, quote: str, result_id: str) -> None:
    facts, dropped = proven(**{field: claim(value, quote, result_id)})
    assert facts == KNOWN
    assert sum(dropped.values()) == 1


def test_units_are_estimated_from_listings_where_only_those_are_known_and_marked_so() -> None:
    facts, _ = proven(listings=claim(36, "36 homes for rent"))
    assert facts.units is not None and (facts.units.value, facts.units.basis) == (360, "estimated")


def test_stated_units_win_over_listings_unless_they_are_unproven() -> None:
    listings = claim(36, "36 homes for rent")
    both, _ = proven(units=claim(1240, "manages 1,240 single family homes"), listings=listings)
    unproven, dropped = proven(units=claim(5000, "manages 5,000 homes"), listings=listings)
    assert both.units is not None and both.units.basis == "stated"
    assert unproven.units is not None and unproven.units.basis == "estimated"
    assert dropped == {"units:quote_not_found": 1}


@pytest.mark.parametrize("company_type", ["hoa", "multifamily", "mixed_residential", "commercial", "brokerage"])
def test_f57a_a_quote_that_does_not_name_the_type_proves_no_type(company_type: str) -> None:
    facts, dropped = proven(company_type=claim(company_type, "Acme manages 1,240 single family homes"))
    assert facts == KNOWN
    assert dropped == {"company_type:quote_does_not_say_it": 1}


@pytest.mark.parametrize(
    ("field", "value", "quote"),
    [
        ("manages_for_owners", False, "Acme manages 1,240 single family homes for owners"),
        ("manages_for_owners", True, "A team of 12 people"),
        ("closed", "Acme manages", "Acme manages 1,240 single family homes"),
    ],
)
def test_f58_words_that_are_there_but_say_something_else_prove_nothing(field: str, value: object, quote: str) -> None:
    facts, dropped = proven(**{field: claim(value, quote)})
    assert facts == KNOWN
    assert dropped == {f"{field}:quote_does_not_say_it": 1}


def test_a_company_whose_own_page_says_that_it_has_closed_is_known_to_be_gone() -> None:
    text = "Acme has closed its doors. Thank you for twenty years."
    output = ResearchOutput.model_validate({**EMPTY, "closed": claim("closed its doors", "Acme has closed its doors.")})
    own, _ = proven_facts(KNOWN, output, {"own": result("own", "https://acme.example/", text)}, ACME)
    news, dropped = proven_facts(KNOWN, output, {"own": result("own", "https://news.example/", text)}, ACME)
    assert own.closed_evidence is not None and own.closed_evidence.quote == "Acme has closed its doors."
    assert news.closed_evidence is None and dropped == {"closed:other_source": 1}


FIRST = "Acme Homes of St. Louis manages rental homes for owners."
SECOND = "We have done so since 1998!"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (FIRST, FIRST),
        (f"{FIRST} {SECOND}", f"{FIRST} {SECOND}"),
        (f"{FIRST} {SECOND} Call us.", f"{FIRST} {SECOND}"),
        (f"{FIRST} {'And so on, ' * 30}and on.", FIRST),
        ("Homes in Austin", "Homes in Austin"),
        ("and so on " * 40, None),
        (f"{'and so on ' * 40}. {SECOND}", None),
    ],
    ids=["one", "two", "three", "second too long", "no full stop", "no end", "first too long"],
)
def test_a_description_is_one_or_two_whole_sentences_of_at_most_300_characters(said: str, kept: str | None) -> None:
    page = {"own": result("own", "https://acme.example/", f"Welcome. {said} Bye.")}
    output = ResearchOutput.model_validate({**EMPTY, "description": claim(said, said)})
    facts, dropped = proven_facts(KNOWN, output, page, ACME)
    assert (facts.description and facts.description.value) == kept
    assert dropped == ({} if kept else {"description:too_long": 1})


def test_a_type_that_the_model_does_not_know_is_no_claim() -> None:
    facts, dropped = proven(company_type=claim("unknown", "whatever"))
    assert facts == KNOWN and dropped == {}


def test_of_a_list_the_claims_that_hold_are_kept() -> None:
    facts, dropped = proven(
        places_served=[
            claim("Austin", "owners in Austin"),
            claim("Dallas", "owners in Dallas"),
            claim("Waco", "Austin"),
        ]
    )
    assert [fact.value for fact in facts.places_served] == ["Austin"]
    assert dropped == {"places_served:quote_not_found": 1, "places_served:value_not_in_quote": 1}


def test_the_model_is_not_asked_for_software_or_grades() -> None:
    assert set(ResearchOutput.model_fields) == set(EMPTY)
