"""Which pages of a company's site are opened beforehand, and which are left; and what is asked once more about."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.roles.company_research import ResearchOutput
from agents.site_pages import CONTACT_PAGES, RESEARCH_PAGES, unread_pages
from domain.company.facts import CompanyFacts, CompanyType, UnitsEvidence
from domain.company.pms_vendors import PmsVendor
from domain.evidence import Evidence
from domain.request.criteria import parse_criteria
from grounding.follow_up import follow_up_rule, missing_fields
from store.tools.tool_results import ToolResult
from tests.agents.scripted_model import EMPTY_RESEARCH

ACME = frozenset({"acme.example"})
MENU = (
    "[Home](https://acme.example/) [Owners](https://acme.example/owners/faq) [Services](https://acme.example/services)\n"
    "[Who we are](https://www.acme.example/about/) [Our People](https://acme.example/about/people)\n"
    "[Homes for rent](https://acme.example/rentals?city=austin) [Pay rent](https://acme.example/pay)\n"
    "[Owner login](https://acme.example/owner-login) [Blog](https://acme.example/blog/about-houses)\n"
    "[About NARPM](https://narpm.example/about) [Brochure](https://acme.example/about.pdf) [Call](tel:5125550100)\n"
    "[Contact](https://acme.example/contact)"
)
PROOF = Evidence(result_id="r1", url="https://acme.example/", quote="words")


def page(url: str, text: str = MENU) -> ToolResult:
    return ToolResult(
        result_id=url,
        tool="fetch_page",
        args={"url": url},
        status="ok",
        payload={"final_url": url},
        text=text,
        fetched_at=datetime(2031, 1, 1, tzinfo=UTC),
    )


def left(sorts: tuple[str, ...], *read: str, maximum: int = 9) -> list[str]:
    pages = {url: page(url) for url in (read or ("https://acme.example/",))}
    return unread_pages(pages, sorts, ACME, maximum)


def test_pages_left_are_the_companys_own_of_the_sorts_that_tell_best_sort_first() -> None:
    assert left(RESEARCH_PAGES) == [
        "https://www.acme.example/about/",
        "https://acme.example/about/people",
        "https://acme.example/services",
        "https://acme.example/owners/faq",
        "https://acme.example/rentals?city=austin",
    ]
    assert left(CONTACT_PAGES) == [
        "https://acme.example/about/people",
        "https://www.acme.example/about/",
        "https://acme.example/contact",
    ]


def test_a_page_that_was_read_is_not_left_however_its_address_is_spelled() -> None:
    read = ("https://acme.example/", "http://www.acme.example/about", "https://acme.example/services/")
    assert left(RESEARCH_PAGES, *read, maximum=2) == [
        "https://acme.example/about/people",
        "https://acme.example/owners/faq",
    ]


def test_another_companys_page_and_a_search_lead_nowhere() -> None:
    other = page("https://bolt.example/")
    search = page("https://acme.example/").model_copy(update={"tool": "search_web", "payload": {}})
    assert unread_pages({"a": other, "b": search}, RESEARCH_PAGES, ACME, 9) == []


# --- one more question -----------------------------------------------------------------------------------------------

FIT = CompanyFacts(company_type=CompanyType.SINGLE_FAMILY, pms_status="detected", pms=PmsVendor.BUILDIUM)
SIZED = FIT.model_copy(update={"units": UnitsEvidence(value=500, basis="stated", evidence=PROOF)})


@pytest.mark.parametrize(
    ("raw", "facts", "fields"),
    [
        ({"pms": "Buildium"}, FIT, ()),
        ({"units_min": 50}, SIZED, ()),
        ({"units_min": 50}, FIT, ("units", "listings")),
        ({"units_min": {"value": 50, "mode": "soft"}}, FIT, ("units", "listings")),
        ({"units_max": 50}, SIZED, ()),
        ({}, CompanyFacts(), ("company_type",)),
        ({"company_types": ["hoa"], "units_min": 5}, CompanyFacts(), ("units", "listings", "company_type")),
        ({"pms": "Yardi", "units_min": 50}, FIT, ()),
        ({"units_min": 50}, FIT.model_copy(update={"manages_for_owners": False}), ()),
        ({"icp_tier_min": "A+"}, FIT, ("units", "listings")),
        ({"icp_tier_min": "A+"}, SIZED, ()),
        ({}, CompanyFacts(company_type=CompanyType.BROKERAGE), ("manages_for_owners",)),
        ({}, CompanyFacts(company_type=CompanyType.BROKERAGE, manages_for_owners=True), ()),
        ({"state": "TX"}, FIT, ()),
    ],
    ids=[
        "met", "met by research", "unknown", "unknown and soft", "not met", "type unknown", "both unknown", "rejected",
        "disqualified", "tier may rise", "tier cannot rise", "brokerage", "brokerage that manages", "settled by code",
    ],
)  # fmt: skip
def test_only_what_is_unknown_and_would_settle_something_is_open(
    raw: dict[str, Any], facts: CompanyFacts, fields: tuple[str, ...]
) -> None:
    assert missing_fields(parse_criteria(raw).criteria, facts) == fields


def test_one_more_question_names_what_is_missing_and_the_pages_that_are_left() -> None:
    ask = follow_up_rule(parse_criteria({"units_min": 50}).criteria, FIT, ACME)
    answer = ResearchOutput.model_validate(EMPTY_RESEARCH)
    asked = ask(answer, {"r1": page("https://acme.example/")})
    assert asked is not None
    assert asked.fields == ("units", "listings", "company_type")
    assert len(asked.pages) == 3 and asked.pages[0] == "https://www.acme.example/about/"
    assert "units, listings, company_type" in asked.question
    assert ask(answer, {"r1": page("https://acme.example/", text="No links here.")}) is None, "nothing is left to read"


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=300), st.text(max_size=100))
def test_no_text_of_a_page_breaks_the_choice(text: str, path: str) -> None:
    pages = {"r1": page("https://acme.example/", f"{text} [about](https://acme.example/{path}) [x](http://[y)")}
    assert len(unread_pages(pages, RESEARCH_PAGES, ACME, 3)) <= 3
