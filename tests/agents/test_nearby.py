"""What stands on a team page belongs to the person whose card it is on, whoever an answer gives it to (DOMAIN, "Contact")."""

from __future__ import annotations

from typing import Any

import pytest

from agents.contact_facts import proven_people
from agents.contact_research import ContactsOutput
from agents.nearby import beside, title_beside, works_elsewhere
from agents.research_facts import counts
from domain.contact import Person
from tests.agents.test_contact_facts import ACME, OFFICE, result

TEAM = (
    "Jane Roe, Owner. [jane@acme.example](mailto:jane@acme.example) [LinkedIn](https://www.linkedin.com/in/janeroe)\n"
    "Max Poe, Property Manager. max@acme.example https://www.linkedin.com/in/maxpoe\n"
    "Ann Lee, Leasing Manager\n"
    "What clients say: Hilda Voss, CEO of Birch Roofing https://www.linkedin.com/in/hildavoss"
)
CARDS = {"Jane Roe": "Jane Roe, Owner", "Max Poe": "Max Poe, Property Manager", "Ann Lee": "Ann Lee, Leasing Manager"}


def person(name: str, title: str | None = None, quote: str | None = None, **more: Any) -> dict[str, Any]:
    shown = quote or CARDS[name]
    empty = dict.fromkeys(("email", "phone", "linkedin_url", "email_citation", "note"))
    citation = {"result_id": "team", "quote": shown}
    return {
        "full_name": name,
        "title": title or shown.partition(", ")[2],
        "citation": citation,
        **empty,
        **more,
    }


def with_email(name: str, email: str) -> dict[str, Any]:
    return person(name, email=email, email_citation={"result_id": "team", "quote": email})


def proven(*people: dict[str, Any], page: str = TEAM) -> tuple[dict[str, Person], dict[str, int]]:
    results = {"team": result("team", "https://acme.example/team", page)}
    found, dropped = proven_people(ContactsOutput.model_validate({"people": people}), results, ACME, OFFICE)
    return {each.full_name: each for each in found}, dropped


def test_each_has_the_address_and_the_profile_of_their_own_card() -> None:
    people, dropped = proven(
        {**with_email("Jane Roe", "jane@acme.example"), "linkedin_url": "https://www.linkedin.com/in/janeroe"},
        {**with_email("Max Poe", "max@acme.example"), "linkedin_url": "https://www.linkedin.com/in/maxpoe"},
    )
    assert dropped == {}
    assert [each.email for each in people.values()] == ["jane@acme.example", "max@acme.example"]
    evidence = people["Max Poe"].linkedin_evidence
    assert evidence is not None
    assert evidence.quote.startswith("Max Poe")
    assert evidence.quote.endswith("linkedin.com/in/maxpoe")


@pytest.mark.parametrize(
    ("name", "email", "others"),
    [
        ("Jane Roe", "max@acme.example", ["Max Poe"]),
        ("Jane Roe", "max@acme.example", []),
        ("Max Poe", "jane@acme.example", ["Jane Roe"]),
        ("Ann Lee", "max@acme.example", ["Max Poe", "Jane Roe"]),
    ],
    ids=["of the next card", "though nobody else is named", "of the card before", "of one who has no address"],
)
def test_f57_a_neighbours_address_is_not_theirs(name: str, email: str, others: list[str]) -> None:
    people, dropped = proven(with_email(name, email), *map(person, others))
    assert people[name].email is None
    assert dropped == {"email:not_next_to_name": 1}


def test_f57_a_neighbours_profile_is_not_theirs() -> None:
    people, dropped = proven(
        person("Jane Roe", linkedin_url="https://www.linkedin.com/in/maxpoe"), person("Max Poe"), person("Ann Lee")
    )
    assert people["Jane Roe"].linkedin_url is None
    assert dropped == {"linkedin_url:not_next_to_name": 1}


def test_f57_a_title_out_of_a_quote_of_two_cards_is_the_one_that_follows_the_name() -> None:
    both = TEAM[: TEAM.index(". max@")]
    people, dropped = proven(person("Max Poe", "Owner", both), person("Jane Roe", "Owner", both))
    assert people.keys() == {"Jane Roe"}
    assert dropped == {"person:title_of_another": 1}


def test_f57_a_client_who_praises_the_company_is_no_contact_of_it() -> None:
    quote = "Hilda Voss, CEO of Birch Roofing"
    people, dropped = proven(
        person("Hilda Voss", "CEO", quote, linkedin_url="https://www.linkedin.com/in/hildavoss"), person("Ann Lee")
    )
    assert people.keys() == {"Ann Lee"}
    assert dropped == {"person:other_company": 1}


def test_where_the_address_comes_first_on_a_page_it_may_stand_before_the_name() -> None:
    page = "jane@acme.example Jane Roe, Owner\nmax@acme.example Max Poe, Property Manager"
    people, _ = proven(
        with_email("Jane Roe", "jane@acme.example"), with_email("Max Poe", "max@acme.example"), page=page
    )
    assert [each.email for each in people.values()] == ["jane@acme.example", "max@acme.example"]


@pytest.mark.parametrize(
    ("quote", "is_elsewhere"),
    [
        ("Hilda Voss, CEO of Birch Roofing", True),
        ("Bob, Owner at Bolt Realty", True),
        ("Jane Roe, Owner of Acme Homes", False),
        ("Jane Roe, Director of Property Management", False),
        ("Jane Roe, President of Texas Operations", False),
        ("Jane Roe is the owner of several homes", False),
    ],
)
def test_a_post_at_another_firm_is_told_from_one_in_the_company(quote: str, is_elsewhere: bool) -> None:
    assert works_elsewhere(quote, ACME) is is_elsewhere


def test_too_far_is_not_beside() -> None:
    assert beside(f"jane roe {'x ' * 250} jane@acme.example", "jane roe", "jane@acme.example", ()) is None
    assert title_beside("broker/owner jane roe", "jane roe", "owner", ["max poe"])


@pytest.mark.parametrize(
    ("quote", "value", "proves"),
    [
        ("We manage 1,240 single-family homes in Austin.", 1240, True),
        ("Units under management: 1,240", 1240, True),
        ("1240+ doors", 1240, True),
        ("Last year we closed 3,210 work orders in our rental homes", 3210, False),
        ("Founded in 1998, we love homes", 1998, False),
        ("11,240 homes", 1240, False),
    ],
)
def test_f57_a_number_proves_what_it_counts_and_nothing_else(quote: str, value: int, proves: bool) -> None:
    assert counts(quote, value, r"(?:units?|doors?|homes?)") is proves
