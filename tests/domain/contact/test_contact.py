"""Who counts as a contact, at which level, and which are delivered (DOMAIN, "Contact"; LESSONS F12, F56, F57)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.contact.contact_selection import CONTACT_ATTEMPTS_MAX, ContactDrop, quality_score, select_contacts
from domain.contact.email_address import FREE_MAIL_DOMAINS, EmailStatus, clean_email, email_belongs_to, is_role_mailbox
from domain.contact.person import Person, clean_linkedin, clean_name, is_named_person, is_reachable, person_key
from domain.contact.title_levels import TitleLevel, rank_title
from domain.evidence import Evidence

PROOF = Evidence(result_id="r1", url="https://acme.example/team", quote="words")
ACME = frozenset({"acme.com"})
TITLES = {
    TitleLevel.OWNER: [
        "Owner", "Co-Owner", "Broker/Owner", "Owner / Broker", "Designated Broker", "Managing Broker", "President",
        "Principal", "CEO", "COO", "Chief Executive Officer", "Chief Operating Officer", "Managing Partner",
        "President & CEO", "OWNER",
    ],
    TitleLevel.DIRECTOR: [
        "Director of Property Management", "VP Operations", "VP of Operations", "Vice President of Operations",
        "Vice President, Operations", "Associate Broker", "Portfolio Manager", "Vice President",
    ],
    TitleLevel.OPERATIONS: ["Director of Operations", "Operations Manager", "Operations Director"],
    TitleLevel.MANAGER: ["Property Manager", "Senior Property Manager", "Leasing Manager", "Owner Relations Manager"],
    TitleLevel.OFFICE: ["Office Manager", "Business Development Manager", "Director of Business Development"],
    TitleLevel.MAINTENANCE: ["Maintenance Supervisor", "Director of Maintenance", "Facilities Manager"],
    TitleLevel.NONE: [
        "Real Estate Agent", "Leasing Agent", "Assistant Property Manager", "Executive Assistant to the President",
        "Bookkeeper", "Receptionist", "Property Owner", "Homeowner", "Resident", "Leasing Coordinator", "",
    ],
}  # fmt: skip


def person(name: str = "Jane Doe", title: str = "Owner", **more: Any) -> Person:
    more.setdefault("email", "jane@acme.com")
    return Person(full_name=name, title=title, evidence=PROOF, **more)


@pytest.mark.parametrize(("level", "title"), [(level, title) for level, titles in TITLES.items() for title in titles])
def test_a_printed_title_gives_the_level(level: TitleLevel, title: str) -> None:
    assert rank_title(title).level is level


@pytest.mark.parametrize(
    ("title", "seniority", "department"),
    [
        ("Owner", "owner", "leadership"),
        ("CEO", "executive", "leadership"),
        ("VP of Operations", "executive", "operations"),
        ("Director of Property Management", "director", "operations"),
        ("Property Manager", "manager", "operations"),
        ("Leasing Manager", "manager", "leasing"),
        ("Maintenance Supervisor", "manager", "maintenance"),
        ("Business Development Manager", "manager", "business_development"),
        ("Bookkeeper", "staff", "accounting"),
        ("Astronaut", "staff", "other"),
    ],
)
def test_a_printed_title_gives_seniority_and_department(title: str, seniority: str, department: str) -> None:
    rank = rank_title(title)
    assert (rank.seniority, rank.department) == (seniority, department)


@pytest.mark.parametrize("name", ["Jane Doe", "Mary-Ann O'Neil", "José Núñez", "J. R. Smith", "Doe, Jane", "Li Wei"])
def test_a_person_is_named_by_two_or_more_words(name: str) -> None:
    assert is_named_person(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "Jane", "Name Not Published", "Coming Soon", "Team Member", "Our Staff", "Property Manager", "TBD TBA",
        "Office Manager", "Acme 2 Team", "Vacant Position", "N/A N/A", "- -", "— Doe", "jane@acme.com Doe",
        "https://acme.com Doe", "<b>Jane Doe</b>", "one two three four five six seven", "X " + "y" * 90,
        "Leasing Department", "Jane Doe 3rd", "=cmd Doe",
    ],
)  # fmt: skip
def test_f56_a_placeholder_is_nobody(name: str) -> None:
    assert not is_named_person(name)


def test_a_name_is_cleaned_of_honorifics_and_invisible_marks() -> None:
    assert clean_name(" Dr.  Jane\u200b\u202e   Doe\n") == "Jane Doe"
    assert clean_name("Mr Smith") == "Smith"
    assert clean_name("Drew Missal") == "Drew Missal"


@pytest.mark.parametrize(
    "email",
    ["info@acme.com", "leasing@acme.com", "INFO@acme.com", "office2@acme.com", "rentals.1@acme.com",
     "no-reply@acme.com", "info+austin@acme.com", "propertymanagement@acme.com"],
)  # fmt: skip
def test_f57_a_role_mailbox_is_nobodys(email: str) -> None:
    assert is_role_mailbox(email)


@pytest.mark.parametrize("email", ["jane@acme.com", "j.doe@acme.com", "infante@acme.com", "hr.smith@acme.com"])
def test_a_personal_address_is_no_role_mailbox(email: str) -> None:
    assert not is_role_mailbox(email)


def test_an_address_must_be_of_the_companys_own_domains() -> None:
    assert email_belongs_to("jane@acme.com", ACME, published_by_company=False)
    assert email_belongs_to("jane@mail.acme.com", ACME, published_by_company=False)
    assert not email_belongs_to("jane@other.com", ACME, published_by_company=True)
    assert not email_belongs_to("jane@notacme.com", ACME, published_by_company=True)
    assert not email_belongs_to("jane@acme.com.evil.com", ACME, published_by_company=True)


@pytest.mark.parametrize("domain", sorted(FREE_MAIL_DOMAINS))
def test_f57_free_mail_only_where_the_company_publishes_it(domain: str) -> None:
    assert email_belongs_to(f"jane@{domain}", ACME, published_by_company=True)
    assert not email_belongs_to(f"jane@{domain}", ACME, published_by_company=False)


@pytest.mark.parametrize(
    ("given_text", "cleaned"),
    [
        (" Jane.Doe@ACME.com ", "jane.doe@acme.com"),
        ("jane@", None),
        ("jane at acme.com", None),
        ("a@b@acme.com", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_normalised_or_none(given_text: str | None, cleaned: str | None) -> None:
    assert clean_email(given_text) == cleaned


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://www.linkedin.com/in/jane-doe", True),
        ("https://linkedin.com/in/jane-doe/", True),
        ("http://uk.linkedin.com/in/jane", True),
        ("https://www.linkedin.com/company/acme", False),
        ("https://www.linkedin.com/in/", False),
        ("https://www.linkedin.com/in/jane/details", False),
        ("https://evil-linkedin.com/in/jane", False),
        ("https://linkedin.com.evil.com/in/jane", False),
        ("linkedin.com/in/jane", False),
        (None, False),
    ],
)
def test_f57_only_a_persons_linkedin_profile_counts(url: str | None, kept: bool) -> None:
    assert clean_linkedin(url) == (url if kept else None)


def test_one_way_to_reach_them_is_needed_and_enough() -> None:
    assert not is_reachable(person(email=None))
    assert is_reachable(person())
    assert not is_reachable(person(email=None, phone="+15125550100"))  # the contacts file has no column for it
    assert is_reachable(person(email=None, linkedin_url="https://linkedin.com/in/jane"))


def test_quality_is_0_to_100_from_level_reach_and_evidence() -> None:
    best = person(email_status=EmailStatus.PUBLISHED, linkedin_url="https://linkedin.com/in/jane", email_evidence=PROOF)
    assert quality_score(best) == 100
    assert quality_score(person(email_status=EmailStatus.PUBLISHED)) < 100
    assert quality_score(person(title="Office Manager", email=None, phone="+15125550100")) < 50


def test_a_better_level_and_a_better_email_never_score_less() -> None:
    by_level = [quality_score(person(title=TITLES[level][0])) for level in TitleLevel]
    assert by_level == sorted(by_level, reverse=True)
    by_status = [quality_score(person(email_status=status)) for status in EmailStatus]
    assert by_status == sorted(by_status, reverse=True)
    assert len(set(by_status[:4])) >= 3


PEOPLE = st.builds(
    person,
    name=st.sampled_from(["Jane Doe", "John Roe", "Ann Lee", "Bob Ray", "Coming Soon", "Zoë Fox"]),
    title=st.sampled_from(["Owner", "Property Manager", "Operations Manager", "Real Estate Agent", "Office Manager"]),
    email=st.sampled_from(["x@acme.com", None]),
    email_status=st.sampled_from(EmailStatus),
)


@settings(deadline=None)
@given(st.lists(PEOPLE, max_size=8), st.integers(1, 3))
def test_best_level_first_and_never_more_than_asked_for(people: list[Person], contacts_max: int) -> None:
    selected, drops = select_contacts(people, contacts_max)
    levels = [rank_title(chosen.title).level for chosen in selected]
    assert levels == sorted(levels) and len(selected) <= contacts_max
    assert all(is_named_person(chosen.full_name) and is_reachable(chosen) for chosen in selected)
    assert TitleLevel.NONE not in levels
    assert len({person_key(chosen.full_name) for chosen in selected}) == len(selected)
    assert drops.get(ContactDrop.BEYOND_MAXIMUM, 0) == 0 or len(selected) == contacts_max


@settings(deadline=None)
@given(st.lists(PEOPLE, max_size=6, unique_by=lambda one: person_key(one.full_name)).flatmap(
    lambda people: st.tuples(st.just(people), st.permutations(people))
))  # fmt: skip
def test_the_selection_does_not_depend_on_the_order_in_which_people_were_found(
    both: tuple[list[Person], list[Person]],
) -> None:
    assert select_contacts(both[0], 2) == select_contacts(both[1], 2)


def test_equals_come_by_name() -> None:
    people = [person("John Roe"), person("Ann Lee"), person("Jane Doe")]
    assert [chosen.full_name for chosen in select_contacts(people, 2)[0]] == ["Ann Lee", "Jane Doe"]


def test_everyone_left_out_is_counted_with_the_reason() -> None:
    people = [
        person("Coming Soon"),
        person("Ann Lee", "Real Estate Agent"),
        person("Bob Ray", email=None),
        person("Jane Doe"),
        person("John Roe", "Office Manager"),
    ]
    selected, drops = select_contacts(people, 1)
    assert [chosen.full_name for chosen in selected] == ["Jane Doe"]
    assert drops == {
        ContactDrop.NOT_NAMED: 1,
        ContactDrop.NOT_A_DECISION_MAKER: 1,
        ContactDrop.NOT_REACHABLE: 1,
        ContactDrop.BEYOND_MAXIMUM: 1,
    }


def test_one_person_named_twice_is_one_contact_by_the_better_proof() -> None:
    weak, strong = person("JOSE NUNEZ"), person("José Núñez", email_status=EmailStatus.PUBLISHED, email_evidence=PROOF)
    assert select_contacts([weak, strong], 3)[0] == [strong]


def test_f12_attempts_per_company_are_bounded() -> None:
    assert CONTACT_ATTEMPTS_MAX == 2
