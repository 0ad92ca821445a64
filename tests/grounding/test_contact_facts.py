"""A person of the contact agent's answer becomes a contact with proven parts. What does not hold is dropped and counted."""

from __future__ import annotations

from typing import Any

import pytest

from agents.roles.contact_research import ContactsOutput
from domain.contact.contact_selection import select_contacts
from domain.contact.email_address import EmailStatus
from domain.contact.person import Person
from domain.delivery.csv_files import cell
from grounding.contact_facts import proven_people
from store.tools.tool_results import ToolResult
from tests.grounding.pages import ACME, cite, page, with_email
from tests.grounding.pages import found as named
from web.page_text import render_page

OFFICE = frozenset({"+15125550100"})
FAR = "About our work in Austin. " * 40
TEXT = (
    "Jane Doe | Owner | [jane@acme.example](mailto:jane@acme.example) | Direct 512-555-0111 | "
    "[LinkedIn](https://www.linkedin.com/in/janedoe-123)\n"
    "Bob Ray | Property Manager | [Email Bob](mailto:bob@acme.example) | Office (512) 555-0100\n"
    "Ann Lee | Broker/Owner | annlee.homes@gmail.com\n"
    "Max Fox | President | max@bolt.example\n"
    "Jane Doe has run Acme since 2009.\n"
    f"{FAR}\nfarther@acme.example info@acme.example https://www.linkedin.com/in/farther"
)


RESULTS = {
    "own": page(TEXT, "https://acme.example/team"),
    "other": page(TEXT, "https://bolt.example/team", "other"),
    "search": page(TEXT, "", "search", tool="search_web", payload={"results": []}),
}


def found(name: str = "Jane Doe", title: str = "Owner", **more: Any) -> dict[str, Any]:
    return named(name, title, f"{name} | {title}", **more)


def proven(*people: dict[str, Any], own: ToolResult | None = None) -> tuple[list[Person], dict[str, int]]:
    results = {"own": own} if own else RESULTS
    return proven_people(ContactsOutput.model_validate({"people": people}), results, ACME, OFFICE)


def only(person: dict[str, Any], own: ToolResult | None = None) -> Person:
    (proven_person,), dropped = proven(person, own=own)
    assert dropped == {}
    return proven_person


def test_name_and_title_on_the_own_page_prove_a_person() -> None:
    person = only(found())
    assert (person.full_name, person.title) == ("Jane Doe", "Owner")
    assert (person.email, person.phone, person.linkedin_url) == (None, None, None)
    assert person.evidence.url == "https://acme.example/team" and person.evidence.quote == "Jane Doe | Owner"


@pytest.mark.parametrize(
    ("person", "problem"),
    [
        (found("Tom Coe"), "quote_not_found"),
        (found(title="President"), "quote_not_found"),
        (found(citation=cite("Jane Doe")), "value_not_in_quote"),
        (found(citation=cite("Jane Doe | Owner", "other")), "other_source"),
        (found(citation=cite("Jane Doe | Owner", "search")), "other_source"),
        (found(citation=cite("Jane Doe | Owner", "r9")), "unknown_result"),
    ],
)
def test_a_person_without_proof_is_dropped(person: dict[str, Any], problem: str) -> None:
    assert proven(person) == ([], {f"person:{problem}": 1})


def test_an_email_next_to_the_name_is_theirs() -> None:
    quote = "Jane Doe | Owner | jane@acme.example"
    person = only(found(email="Jane@acme.example", email_citation=cite(quote)))
    assert (person.email, person.email_status) == ("jane@acme.example", EmailStatus.PUBLISHED)
    assert person.email_evidence is not None and person.email_evidence.quote == quote


def test_an_email_may_stand_in_the_link_alone() -> None:
    quote = "Bob Ray | Property Manager | [Email Bob](mailto:bob@acme.example)"
    person = only(found("Bob Ray", "Property Manager", email="bob@acme.example", email_citation=cite(quote)))
    assert person.email == "bob@acme.example"


def test_free_mail_counts_on_the_companys_own_page() -> None:
    quote = "Ann Lee | Broker/Owner | annlee.homes@gmail.com"
    person = only(found("Ann Lee", "Broker/Owner", email="annlee.homes@gmail.com", email_citation=cite(quote)))
    assert person.email == "annlee.homes@gmail.com"


@pytest.mark.parametrize(
    ("email", "quote", "problem"),
    [
        ("jane@acme.example", None, "no_citation"),
        ("jane.doe@acme.example", "Jane Doe | Owner | jane.doe@acme.example", "quote_not_found"),
        ("jane.doe@acme.example", "Jane Doe | Owner", "value_not_in_quote"),
        ("jane.doe@gmail.com", "Jane Doe | Owner | jane.doe@gmail.com", "quote_not_found"),
        ("ceo@acme.example", "[Email Bob](mailto:ceo@acme.example)", "value_not_in_quote"),
        ("info@acme.example", "info@acme.example", "role_mailbox"),
        ("farther@acme.example", "farther@acme.example", "not_next_to_name"),
        ("ther@acme.example", "farther@acme.example", "not_whole"),
        ("ane@acme.example", "ane@acme.example", "not_next_to_name"),
        ("jane at acme", "jane at acme", "bad_syntax"),
    ],
)
def test_an_unproven_email_is_dropped_and_the_person_kept(email: str, quote: str | None, problem: str) -> None:
    people, counts = proven(found(email=email, email_citation=cite(quote) if quote else None))
    assert [(person.full_name, person.email, person.email_evidence) for person in people] == [("Jane Doe", None, None)]
    assert people[0].email_status is EmailStatus.UNKNOWN
    assert counts == {f"email:{problem}": 1}


def test_another_companys_address_drops_the_person() -> None:
    person = found("Max Fox", "President", email="max@bolt.example", email_citation=cite("max@bolt.example"))
    assert proven(person) == ([], {"person:other_company": 1})


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://www.linkedin.com/in/janedoe-123", None),
        ("https://www.linkedin.com/in/janedoe-123/", None),
        ("https://www.linkedin.com/in/janedoe", "not_on_page"),
        ("https://www.linkedin.com/in/janedoe-12", "not_on_page"),
        ("https://www.linkedin.com/in/somebody", "not_on_page"),
        ("https://www.linkedin.com/in/farther", "not_next_to_name"),
        ("https://www.linkedin.com/company/acme", "not_a_profile"),
    ],
)
def test_a_profile_must_be_whole_and_next_to_the_name(url: str, problem: str | None) -> None:
    (person,), counts = proven(found(linkedin_url=url))
    assert person.linkedin_url == (None if problem else url)
    assert (person.linkedin_evidence is None) == (problem is not None)
    assert counts == ({f"linkedin_url:{problem}": 1} if problem else {})


DIRECT = "Jane Doe | Owner | jane@acme.example | Direct 512-555-0111"


@pytest.mark.parametrize(
    ("phone", "quote", "kept"),
    [
        ("512-555-0111", DIRECT, "+15125550111"),
        ("512-555-0111", "Jane Doe | Owner", None),
        ("512-555-0199", DIRECT, None),
        ("555-0111", DIRECT, None),
        ("(512) 555-0100", "Jane Doe | Owner", None),
    ],
)
def test_a_phone_must_be_in_the_persons_quote(phone: str, quote: str, kept: str | None) -> None:
    (person,), counts = proven(found(phone=phone, citation=cite(quote)))
    assert (person.phone, counts) == (kept, {} if kept else {"phone:not_in_quote": 1})


def test_the_office_phone_is_not_a_direct_number() -> None:
    quote = "Bob Ray | Property Manager | Email Bob | Office (512) 555-0100"
    (person,), counts = proven(found("Bob Ray", "Property Manager", phone="(512) 555-0100", citation=cite(quote)))
    assert (person.phone, counts) == (None, {"phone:of_office": 1})


@pytest.mark.parametrize("made_up", ["tel:512-555-0199", "https://x.example/512-555-0199"])
def test_a_phone_in_made_up_markup_is_dropped(made_up: str) -> None:
    quote = f"Jane Doe | Owner | [jane@acme.example]({made_up})"
    (person,), counts = proven(found(phone="512-555-0199", citation=cite(quote)))
    assert (person.phone, counts) == (None, {"phone:not_in_quote": 1})


def test_a_note_must_be_quoted() -> None:
    note = {"value": "has run Acme since 2009", "citation": cite("Jane Doe has run Acme since 2009.")}
    invented = {"value": "loves dogs", "citation": cite("Jane Doe has run Acme since 2009.")}
    person = only(found(note=note))
    assert person.note == "has run Acme since 2009" and person.note_evidence is not None
    people, counts = proven(found(note=invented))
    assert people[0].note is None and counts == {"note:value_not_in_quote": 1}


def test_every_dropped_part_is_counted() -> None:
    person = found(email="info@acme.example", email_citation=cite("Owner"))
    _, dropped = proven(found("Tom Coe"), found("Tim Coe"), person)
    assert dropped == {"person:quote_not_found": 2, "email:value_not_in_quote": 1}


# --- hostile pages and answers ---------------------------------------------------------------------------------------

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
HOSTILE = page(render_page(HTML, "https://acme.example/team").text, "https://acme.example/team")


def proven_on_page(*people: dict[str, Any]) -> tuple[list[Person], dict[str, int]]:
    return proven(*people, own=HOSTILE)


def test_a_person_of_another_company_is_dropped() -> None:
    person = with_email(
        named("Pat Kay", "Owner"), "pat@bolt.example", "Pat Kay, Owner at Bolt Realty, pat@bolt.example"
    )
    assert proven_on_page(person) == ([], {"person:other_company": 1})


def test_only_200_people_are_examined() -> None:
    answer = [named(EMPLOYEES[number % len(EMPLOYEES)], "Property Manager") for number in range(1000)]
    people, dropped = proven_on_page(*answer)
    assert sorted(person.full_name for person in people) == sorted(EMPLOYEES)
    assert dropped == {"person:named_twice": 150, "person:beyond_limit": 800}


def test_a_person_named_twice_keeps_the_best_proof_on_page() -> None:
    quote = "m.ali@acme.example"
    poor, rich = named("محمد علي", "Managing Partner"), with_email(named("محمد علي", "Managing Partner"), quote, quote)
    for answer in ((poor, rich), (rich, poor)):
        people, dropped = proven_on_page(*answer)
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
def test_a_name_or_title_that_is_not_one_is_dropped(person: dict[str, Any], problem: str) -> None:
    assert proven_on_page(person) == ([], {f"person:{problem}": 1})


def test_control_and_direction_marks_are_not_delivered() -> None:
    people, dropped = proven_on_page(
        named(f"Max {RLM}Ray", f"{RLO}Principal"), named(f"Eva{BELL} Day", "Co-Owner", f"Eva{BELL} Day, Co-Owner")
    )
    assert [(person.full_name, person.title) for person in people] == [
        ("Max Ray", "Principal"),
        ("Eva Day", "Co-Owner"),
    ]
    assert dropped == {}


@pytest.mark.parametrize("mark", [RLM, RLO, ZERO_WIDTH, BELL], ids=["rlm", "rlo", "zero width", "bell"])
def test_an_address_with_invisible_marks_is_dropped(mark: str) -> None:
    email = f"wang{mark}@acme.example"
    (person,), dropped = proven_on_page(with_email(named("王 小明", "Owner"), email, "wang@acme.example"))
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
def test_an_obfuscated_address_is_never_delivered(name: str, title: str, email: str | None, quote: str) -> None:
    (person,), dropped = proven_on_page(with_email(named(name, title), email, quote))
    assert (person.full_name, person.email) == (name, None)
    assert dropped == {"email:obfuscated": 1}


def test_an_address_in_alt_text_counts() -> None:
    people, dropped = proven_on_page(
        with_email(named("Ann Lee", "Broker/Owner"), "ann@acme.example", "Ann Lee, Broker/Owner ann@acme.example"),
        with_email(named("Sue Fox", "CEO"), "sue@acme.example", "Sue Fox, CEO sue@acme.example"),
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
    people, dropped = proven_on_page(with_email(named(name, title), email, f"{name}, {title}, {email}"))
    selected, left_out = select_contacts(people, 3)
    assert [(person.full_name, person.email) for person in selected] == [(name, email)]
    assert (dropped, left_out) == ({}, {})
    assert cell(name) == name


def test_a_name_like_a_formula_is_delivered_as_text() -> None:
    (person,), dropped = proven_on_page(
        with_email(named("+Bob Roe", "=Owner"), "bob@acme.example", "+Bob Roe, =Owner, bob@acme.example")
    )
    assert (cell(person.full_name), cell(person.title), dropped) == ("'+Bob Roe", "'=Owner", {})


def test_one_bad_person_does_not_affect_the_others() -> None:
    good = with_email(named("محمد علي", "Managing Partner"), "m.ali@acme.example", "m.ali@acme.example")
    people, dropped = proven_on_page(
        named(LONG, LONG), good, named("Our Team", "Owner"), named("Nobody There", "Owner")
    )
    assert [person.full_name for person in people] == ["محمد علي"]
    assert dropped == {"person:not_named": 2, "person:quote_not_found": 1}
