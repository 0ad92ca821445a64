"""From the people the contact agent names to people who are proven: name, title and every way to reach them.

DOMAIN, "Contact"; LESSONS F56, F57, F57a. What is not on the company's own pages, next to the person, is not theirs.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from agents.roles.contact_research import ContactsOutput
from domain.contact.email_address import EmailStatus
from domain.contact.person import Person
from grounding.contact_facts import proven_people
from store.tools.tool_results import ToolResult

ACME = frozenset({"acme.example"})
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


def result(result_id: str, url: str, text: str = TEXT, tool: str = "fetch_page") -> ToolResult:
    return ToolResult(
        result_id=result_id,
        tool=tool,
        args={"url": url},
        status="ok",
        payload={"final_url": url, "results": []},
        text=text,
        fetched_at=datetime(2031, 1, 1, tzinfo=UTC),
    )


RESULTS = {
    "own": result("own", "https://acme.example/team"),
    "other": result("other", "https://bolt.example/team"),
    "search": result("search", "", tool="search_web"),
}


def cite(quote: str, result_id: str = "own") -> dict[str, str]:
    return {"result_id": result_id, "quote": quote}


def found(name: str = "Jane Doe", title: str = "Owner", **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("email", "phone", "linkedin_url", "email_citation", "note"))
    return {"full_name": name, "title": title, "citation": cite(f"{name} | {title}"), **empty, **more}


def proven(*people: dict[str, Any]) -> tuple[list[Person], dict[str, int]]:
    return proven_people(ContactsOutput.model_validate({"people": people}), RESULTS, ACME, OFFICE)


def only(*people: dict[str, Any]) -> Person:
    (person,), dropped = proven(*people)
    assert dropped == {}
    return person


def dropped(*people: dict[str, Any]) -> dict[str, int]:
    return proven(*people)[1]


def test_a_person_is_proven_by_name_and_title_on_the_companys_own_page() -> None:
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
def test_f57a_a_person_without_proof_is_dropped_and_counted(person: dict[str, Any], problem: str) -> None:
    assert proven(person) == ([], {f"person:{problem}": 1})


def test_an_email_published_next_to_the_name_is_theirs() -> None:
    quote = "Jane Doe | Owner | jane@acme.example"
    person = only(found(email="Jane@acme.example", email_citation=cite(quote)))
    assert (person.email, person.email_status) == ("jane@acme.example", EmailStatus.PUBLISHED)
    assert person.email_evidence is not None and person.email_evidence.quote == quote


def test_an_email_may_stand_in_the_link_alone() -> None:
    quote = "Bob Ray | Property Manager | [Email Bob](mailto:bob@acme.example)"
    person = only(found("Bob Ray", "Property Manager", email="bob@acme.example", email_citation=cite(quote)))
    assert person.email == "bob@acme.example"


def test_f57_free_mail_counts_where_the_companys_own_page_publishes_it_for_the_person() -> None:
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
def test_any_other_email_is_left_out_and_the_person_kept(email: str, quote: str | None, problem: str) -> None:
    people, counts = proven(found(email=email, email_citation=cite(quote) if quote else None))
    assert [(person.full_name, person.email, person.email_evidence) for person in people] == [("Jane Doe", None, None)]
    assert people[0].email_status is EmailStatus.UNKNOWN
    assert counts == {f"email:{problem}": 1}


def test_a_person_with_another_companys_address_is_a_person_of_that_company() -> None:
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
def test_f57_a_linkedin_profile_counts_where_the_page_shows_it_whole_next_to_the_name(
    url: str, problem: str | None
) -> None:
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
def test_a_phone_counts_where_it_stands_in_the_persons_own_words(phone: str, quote: str, kept: str | None) -> None:
    (person,), counts = proven(found(phone=phone, citation=cite(quote)))
    assert (person.phone, counts) == (kept, {} if kept else {"phone:not_in_quote": 1})


def test_the_offices_number_is_nobodys_own() -> None:
    quote = "Bob Ray | Property Manager | Email Bob | Office (512) 555-0100"
    (person,), counts = proven(found("Bob Ray", "Property Manager", phone="(512) 555-0100", citation=cite(quote)))
    assert (person.phone, counts) == (None, {"phone:of_office": 1})


@pytest.mark.parametrize("made_up", ["tel:512-555-0199", "https://x.example/512-555-0199"])
def test_f57a_a_phone_made_up_in_link_markup_is_not_theirs(made_up: str) -> None:
    quote = f"Jane Doe | Owner | [jane@acme.example]({made_up})"
    (person,), counts = proven(found(phone="512-555-0199", citation=cite(quote)))
    assert (person.phone, counts) == (None, {"phone:not_in_quote": 1})


def test_a_note_needs_its_own_words() -> None:
    note = {"value": "has run Acme since 2009", "citation": cite("Jane Doe has run Acme since 2009.")}
    invented = {"value": "loves dogs", "citation": cite("Jane Doe has run Acme since 2009.")}
    person = only(found(note=note))
    assert person.note == "has run Acme since 2009" and person.note_evidence is not None
    people, counts = proven(found(note=invented))
    assert people[0].note is None and counts == {"note:value_not_in_quote": 1}


def test_f57a_every_part_left_out_is_counted() -> None:
    counts = dropped(found("Tom Coe"), found("Tim Coe"), found(email="info@acme.example", email_citation=cite("Owner")))
    assert counts == {"person:quote_not_found": 2, "email:value_not_in_quote": 1}
