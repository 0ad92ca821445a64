"""A claim of the research agent becomes a fact with its evidence, or is dropped and counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.roles.company_research import ResearchOutput
from domain.company.facts import CompanyFacts, CompanyType
from domain.company.pms_vendors import PmsVendor
from grounding.company_facts import proven_facts
from store.tools.tool_results import ToolResult
from tests.agents.scripted_model import EMPTY_RESEARCH
from tests.grounding.pages import ACME, claim, page

TEXT = (
    "Acme manages 1,240 single family homes for owners in Austin and Round Rock.\n"
    "36 homes for rent. A team of 12 people. Member of NARPM. Website by DoorGrow."
)
KNOWN = CompanyFacts(pms_status="detected", pms=PmsVendor.BUILDIUM, pms_slug="acme")
RESULTS = {"own": page(TEXT), "other": page(TEXT, "https://bolt.example/", "other")}
LONG = "Acme " * 20_000  # 100 kB
RTL = "\u202e"


def proven(*, own: ToolResult | None = None, **claims: Any) -> tuple[CompanyFacts, dict[str, int]]:
    output = ResearchOutput.model_validate({**EMPTY_RESEARCH, **claims})
    return proven_facts(KNOWN, output, {"own": own} if own else RESULTS, ACME)


def test_claims_that_hold_become_facts_with_evidence() -> None:
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


@pytest.mark.parametrize("claims", [{}, {"company_type": claim("unknown", "whatever")}], ids=["nothing", "unknown"])
def test_without_claims_the_known_facts_stay(claims: dict[str, Any]) -> None:
    assert proven(**claims) == (KNOWN, {})


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
        ("units", 10**4000, "1,240 single family homes", "value_not_in_quote"),
        ("employees", 100_001, "100,001 people", "value_not_in_quote"),
        ("employees", 12, "A team of people", "value_not_in_quote"),
        ("listings", 1240, "A team of 12", "value_not_in_quote"),
        ("website_vendor", "PMW", "Website by DoorGrow", "value_not_in_quote"),
        ("website_vendor", "PMW", "Website by PMW", "quote_not_found"),
        ("website_vendor", LONG, "Website by DoorGrow", "value_not_in_quote"),
        ("website_vendor", f"Door{RTL}Grow", "Website by DoorGrow", "value_not_in_quote"),
        ("website_vendor", "", "Website by DoorGrow", "empty"),
        ("website_vendor", f" {RTL}\x07\n", "Website by DoorGrow", "empty"),
        ("description", "The best in Texas", "Acme manages", "value_not_in_quote"),
        ("description", LONG, "Acme manages", "value_not_in_quote"),
        ("description", "Acme manages", "", "bad_quote"),
        ("description", "Acme manages", " \n ", "bad_quote"),
        ("company_type", "hoa", "We manage associations", "quote_not_found"),
        *(
            (("company_type", kind, "Acme manages 1,240 single family homes", "quote_does_not_say_it"))
            for kind in ("hoa", "multifamily", "mixed_residential", "commercial", "brokerage")
        ),
        ("manages_for_owners", False, "We do not manage", "quote_not_found"),
        ("manages_for_owners", False, "Acme manages 1,240 single family homes for owners", "quote_does_not_say_it"),
        ("manages_for_owners", True, "A team of 12 people", "quote_does_not_say_it"),
        ("closed", "Acme manages", "Acme manages 1,240 single family homes", "quote_does_not_say_it"),
    ],
)
def test_a_claim_without_proof_is_dropped(field: str, value: object, quote: str, problem: str) -> None:
    claims: Any = {field: claim(value, quote)}
    assert proven(**claims) == (KNOWN, {f"{field}:{problem}": 1})


VALUES = {"company_type": "single_family", "manages_for_owners": True, "units": 1240, "listings": 36, "employees": 12}
ALL_FIELDS = (*VALUES, "closed", "description", "website_vendor")


@pytest.mark.parametrize("field", ALL_FIELDS)
@pytest.mark.parametrize(
    ("result_id", "quote", "reason"),
    [
        ("r-invented", "1,240 single family homes 36 homes 12 Acme", "unknown_result"),
        ("", "1,240 single family homes 36 homes 12 Acme", "unknown_result"),
        (LONG, "1,240 single family homes 36 homes 12 Acme", "unknown_result"),
        ("other", "1,240 36 12 Acme", "other_source"),
        ("own", "1,240 single family homes 36 homes 12 Acme", "quote_not_found"),
        ("own", f"1,240 36 12 homes {LONG}", "bad_quote"),
        ("own", f"Acme {RTL}manages 1,240 36 homes 12", "quote_not_found"),
        ("own", "Acme\x07 manages 1,240 36 homes 12", "quote_not_found"),
    ],
    ids=[
        "invented id", "no id", "100 kB id", "other company", "quote not there", "100 kB quote", "direction mark",
        "control character",
    ],
)  # fmt: skip
def test_words_that_are_not_on_the_page_prove_nothing(field: str, result_id: str, quote: str, reason: str) -> None:
    claims: Any = {field: claim(VALUES.get(field, "Acme"), quote, result_id)}
    assert proven(**claims) == (KNOWN, {f"{field}:{reason}": 1})


def test_units_are_estimated_from_listings_and_marked_so() -> None:
    facts, _ = proven(listings=claim(36, "36 homes for rent"))
    assert facts.units is not None and (facts.units.value, facts.units.basis) == (360, "estimated")


def test_proven_stated_units_win_over_listings() -> None:
    listings = claim(36, "36 homes for rent")
    both, _ = proven(units=claim(1240, "manages 1,240 single family homes"), listings=listings)
    unproven, dropped = proven(units=claim(5000, "manages 5,000 homes"), listings=listings)
    assert both.units is not None and both.units.basis == "stated"
    assert unproven.units is not None and unproven.units.basis == "estimated"
    assert dropped == {"units:quote_not_found": 1}


def test_only_the_companys_own_page_proves_that_it_closed() -> None:
    closed = claim("closed its doors", "Acme has closed its doors.")
    text = "Acme has closed its doors. Thank you for twenty years."
    own, _ = proven(own=page(text), closed=closed)
    news, dropped = proven(own=page(text, "https://news.example/"), closed=closed)
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
def test_a_description_is_one_or_two_whole_sentences(said: str, kept: str | None) -> None:
    facts, dropped = proven(own=page(f"Welcome. {said} Bye."), description=claim(said, said))
    assert (facts.description and facts.description.value) == kept
    assert dropped == ({} if kept else {"description:too_long": 1})


def test_claims_of_a_list_are_proven_one_by_one() -> None:
    facts, dropped = proven(
        places_served=[
            claim("Austin", "owners in Austin"),
            claim("Dallas", "owners in Dallas"),
            claim("Waco", "Austin"),
        ]
    )
    assert [fact.value for fact in facts.places_served] == ["Austin"]
    assert dropped == {"places_served:quote_not_found": 1, "places_served:value_not_in_quote": 1}


def test_a_list_is_limited() -> None:
    facts, dropped = proven(places_served=[claim("Austin", "owners in Austin")] * 2000)
    assert [fact.value for fact in facts.places_served] == ["Austin"]
    assert dropped == {"places_served:too_many": 1950}


def test_invisible_characters_are_not_delivered() -> None:
    vendor = claim(f"Door{RTL}Grow\u200b", f"by Door{RTL}Grow\u200b")
    facts, dropped = proven(own=page(f"Website by Door{RTL}Grow\u200b, Austin."), website_vendor=vendor)
    assert facts.website_vendor is not None and facts.website_vendor.value == "DoorGrow"
    assert dropped == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        json.dumps(EMPTY_RESEARCH)[:40],
        "{" * 100_000,
        json.dumps({**EMPTY_RESEARCH, "icp_tier": "A+"}),
        json.dumps({**EMPTY_RESEARCH, "company_type": claim("sfr", "x")}),
        json.dumps({**EMPTY_RESEARCH, "units": claim("many", "x")}),
        json.dumps({**EMPTY_RESEARCH, "units": 120}),
        json.dumps({**EMPTY_RESEARCH, "units": claim(7, "x")}).replace("7", "9" * 5000),
    ],
    ids=[
        "nothing", "null", "list", "half", "100 kB of brackets", "unknown field", "unknown type", "words for a number",
        "no citation", "number of 5,000 digits",
    ],
)  # fmt: skip
def test_an_answer_that_does_not_fit_is_a_validation_error(text: str) -> None:
    with pytest.raises(ValidationError):  # which the loop repairs
        ResearchOutput.model_validate_json(text)


PIECES = st.one_of(
    st.text(max_size=60),
    st.sampled_from([TEXT, "1,240", "36 homes for rent", "Website by DoorGrow", RTL, "\x00", "\ud800", "[a](b"]),
)
QUOTES = st.lists(PIECES, max_size=3).map(" ".join)
CITATIONS = st.fixed_dictionaries({"result_id": st.sampled_from(["own", "other", "none", ""]), "quote": QUOTES})


def cited(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.fixed_dictionaries({"value": value, "citation": CITATIONS})


ANSWERS = st.fixed_dictionaries(
    {
        "company_type": cited(st.sampled_from(["single_family", "hoa", "brokerage", "other", "unknown"])),
        "manages_for_owners": cited(st.booleans()),
        "closed": cited(QUOTES),
        **{name: cited(st.integers() | st.sampled_from([36, 12, 1240])) for name in ("units", "listings", "employees")},
        **{name: cited(QUOTES) for name in ("description", "website_vendor")},
        **{name: st.lists(cited(QUOTES).filter(bool), max_size=3) for name in ("associations", "places_served")},
    }
)


@settings(deadline=None, max_examples=40)
@given(ANSWERS)
def test_every_claim_is_a_fact_with_evidence_or_counted(answer: dict[str, Any]) -> None:
    facts, dropped = proven(**answer)
    kept = [
        facts.company_type_evidence,
        facts.manages_evidence,
        facts.closed_evidence,
        facts.employees_evidence,
        *(each.evidence for each in (facts.units, facts.description, facts.website_vendor) if each),
        *(each.evidence for each in (*facts.associations, *facts.places_served)),
    ]
    for evidence in filter(None, kept):
        assert evidence.result_id == "own" and evidence.quote
    claims = sum(len(value) if isinstance(value, list) else value is not None for value in answer.values())
    assert sum(dropped.values()) <= claims
    assert all(reason.count(":") == 1 for reason in dropped)
