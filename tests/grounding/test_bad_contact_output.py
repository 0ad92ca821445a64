"""Whatever the contact agent answers, a rule handles it, what is left out is counted by reason, and the run goes on.

DOMAIN, "Contact"; LESSONS F26, F56, F57, F97. What a page prints is in ``PAGE``; the answer claims something about it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from agents.roles.contact_research import ContactsOutput
from domain.contact.contact_selection import select_contacts
from domain.contact.person import Person
from domain.delivery.csv_files import cell
from grounding.contact_facts import proven_people
from store.tools.tool_results import ToolResult
from web.page_text import render_page

RLM, RLO, ZERO_WIDTH, BELL = "\u200f", "\u202e", "\u200b", "\x07"
EMPLOYEES = [f"{first}{last} Employee" for first in "BCDFGHJKLM" for last in "aeiou"]
HTML = f"""
<p>Jane Doe, Owner, jane at acme dot example</p>
<p>Tom Coe, President, tom [at] acme.example</p>
<p>Ann Lee, Broker/Owner <img src="ann.png" alt="ann@acme.example"></p>
<p>Sue Fox, CEO <img src="sue.png" alt="our team"></p>
<p>Max {RLM}Ray, {RLO}Principal</p>
<p>Eva{BELL} Day, Co-Owner</p>
<p>王 小明, Owner, wang@acme.example</p>
<p>محمد علي, Managing Partner, m.ali@acme.example</p>
<p>+Bob Roe, =Owner, bob@acme.example</p>
<p>Pat Kay, Owner at Bolt Realty, pat@bolt.example</p>
<p>{" ".join(f"{name}, Property Manager." for name in EMPLOYEES)}</p>
"""
PAGE = ToolResult(
    result_id="team",
    tool="fetch_page",
    args={"url": "https://acme.example/team"},
    status="ok",
    payload={"final_url": "https://acme.example/team"},
    text=render_page(HTML, "https://acme.example/team").text,
    fetched_at=datetime(2031, 1, 1, tzinfo=UTC),
)


def named(name: str, title: str, quote: str | None = None, **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("email", "phone", "linkedin_url", "email_citation", "note"))
    citation = {"result_id": "team", "quote": quote or f"{name}, {title}"}
    return {"full_name": name, "title": title, "citation": citation, **empty, **more}


def with_email(name: str, title: str, email: str | None, quote: str) -> dict[str, Any]:
    return named(name, title, email=email, email_citation={"result_id": "team", "quote": quote})


def proven(*people: dict[str, Any]) -> tuple[list[Person], dict[str, int]]:
    output = ContactsOutput.model_validate({"people": people})
    return proven_people(output, {"team": PAGE}, frozenset({"acme.example"}), frozenset())


def test_f57_a_person_of_another_company_is_left_out() -> None:
    person = with_email("Pat Kay", "Owner", "pat@bolt.example", "Pat Kay, Owner at Bolt Realty, pat@bolt.example")
    assert proven(person) == ([], {"person:other_company": 1})


def test_of_a_thousand_people_two_hundred_are_read_and_the_others_counted() -> None:
    answer = [named(EMPLOYEES[number % len(EMPLOYEES)], "Property Manager") for number in range(1000)]
    people, dropped = proven(*answer)
    assert sorted(person.full_name for person in people) == sorted(EMPLOYEES)
    assert dropped == {"person:named_twice": 150, "person:beyond_limit": 800}


def test_a_person_named_twice_is_delivered_once_with_all_that_is_proven() -> None:
    quote = "m.ali@acme.example"
    poor, rich = named("محمد علي", "Managing Partner"), with_email("محمد علي", "Managing Partner", quote, quote)
    for answer in ((poor, rich), (rich, poor)):
        people, dropped = proven(*answer)
        assert [person.email for person in people] == [quote]
        assert dropped == {"person:named_twice": 1}


LONG = "Jane " + "x" * 100_000


@pytest.mark.parametrize(
    ("person", "problem"),
    [
        pytest.param(named(LONG, "Owner", "Jane Doe, Owner"), "not_named", id="name of 100 kB"),
        pytest.param(named("Jane Doe", LONG, "Jane Doe, Owner"), "not_named", id="title of 100 kB"),
        pytest.param(named("Jane Doe", "Owner", LONG), "bad_quote", id="quote of 100 kB"),
        pytest.param(named("", "Owner", "Owner"), "not_named", id="no name"),
        pytest.param(named("Our Team", "Owner", "our team"), "not_named", id="placeholder"),
        pytest.param(named('=HYPERLINK("http://x.example")', "Owner"), "not_named", id="formula"),
        pytest.param(named("Jane Doe", "Owner\x00"), "quote_not_found", id="control character never printed"),
    ],
)
def test_f56_what_is_no_persons_name_and_title_is_left_out(person: dict[str, Any], problem: str) -> None:
    assert proven(person) == ([], {f"person:{problem}": 1})


def test_control_and_direction_marks_are_not_delivered() -> None:
    people, dropped = proven(
        named(f"Max {RLM}Ray", f"{RLO}Principal"), named(f"Eva{BELL} Day", "Co-Owner", f"Eva{BELL} Day, Co-Owner")
    )
    assert [(person.full_name, person.title) for person in people] == [
        ("Max Ray", "Principal"),
        ("Eva Day", "Co-Owner"),
    ]
    assert dropped == {}


@pytest.mark.parametrize("mark", [RLM, RLO, ZERO_WIDTH, BELL], ids=["rlm", "rlo", "zero width", "bell"])
def test_an_address_with_marks_in_it_is_none(mark: str) -> None:
    email = f"wang{mark}@acme.example"
    (person,), dropped = proven(with_email("王 小明", "Owner", email, "wang@acme.example"))
    assert person.email is None
    assert len(dropped) == 1 and next(iter(dropped)).startswith("email:")


@pytest.mark.parametrize(
    ("name", "title", "email", "quote"),
    [
        pytest.param("Jane Doe", "Owner", "jane at acme dot example", "jane at acme dot example", id="as printed"),
        pytest.param("Jane Doe", "Owner", "jane@acme.example", "jane at acme dot example", id="put together"),
        pytest.param("Jane Doe", "Owner", None, "jane at acme dot example", id="left out by the agent"),
        pytest.param("Tom Coe", "President", "tom@acme.example", "tom [at] acme.example", id="in brackets"),
    ],
)
def test_an_obfuscated_address_is_never_put_together(name: str, title: str, email: str | None, quote: str) -> None:
    (person,), dropped = proven(with_email(name, title, email, quote))
    assert (person.full_name, person.email) == (name, None)
    assert dropped == {"email:obfuscated": 1}


def test_an_address_in_an_images_words_is_published_and_one_in_its_picture_is_not() -> None:
    people, dropped = proven(
        with_email("Ann Lee", "Broker/Owner", "ann@acme.example", "Ann Lee, Broker/Owner ann@acme.example"),
        with_email("Sue Fox", "CEO", "sue@acme.example", "Sue Fox, CEO sue@acme.example"),
    )
    assert [(person.full_name, person.email) for person in people] == [
        ("Ann Lee", "ann@acme.example"),
        ("Sue Fox", None),
    ]
    assert dropped == {"email:quote_not_found": 1}


@pytest.mark.parametrize(
    ("name", "title", "email"),
    [("王 小明", "Owner", "wang@acme.example"), ("محمد علي", "Managing Partner", "m.ali@acme.example")],
    ids=["Han", "Arabic"],
)
def test_a_name_in_another_script_is_delivered_as_printed(name: str, title: str, email: str) -> None:
    people, dropped = proven(with_email(name, title, email, f"{name}, {title}, {email}"))
    selected, left_out = select_contacts(people, 3)
    assert [(person.full_name, person.email) for person in selected] == [(name, email)]
    assert (dropped, left_out) == ({}, {})
    assert cell(name) == name


def test_a_name_that_a_spreadsheet_takes_for_a_formula_is_delivered_as_text() -> None:
    (person,), dropped = proven(
        with_email("+Bob Roe", "=Owner", "bob@acme.example", "+Bob Roe, =Owner, bob@acme.example")
    )
    assert (cell(person.full_name), cell(person.title), dropped) == ("'+Bob Roe", "'=Owner", {})


def test_f97_one_bad_person_takes_nothing_from_the_others() -> None:
    good = with_email("محمد علي", "Managing Partner", "m.ali@acme.example", "m.ali@acme.example")
    people, dropped = proven(named(LONG, LONG), good, named("Our Team", "Owner"), named("Nobody There", "Owner"))
    assert [person.full_name for person in people] == ["محمد علي"]
    assert dropped == {"person:not_named": 2, "person:quote_not_found": 1}
