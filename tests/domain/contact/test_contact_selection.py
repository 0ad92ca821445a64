"""Which people are delivered, and in which order."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.contact.contact_selection import ContactDrop, quality_score, select_contacts
from domain.contact.email_address import EmailStatus
from domain.contact.person import Person, is_named_person, person_key
from domain.contact.title_levels import TitleLevel, rank_title
from domain.evidence import Evidence

PROOF = Evidence(result_id="r1", url="https://acme.example/team", quote="words")
TITLE_BY_LEVEL = {
    TitleLevel.OWNER: "Owner",
    TitleLevel.DIRECTOR: "Portfolio Manager",
    TitleLevel.OPERATIONS: "Operations Manager",
    TitleLevel.MANAGER: "Property Manager",
    TitleLevel.OFFICE: "Office Manager",
    TitleLevel.MAINTENANCE: "Facilities Manager",
    TitleLevel.NONE: "Resident",
}


def person(name: str = "Jane Doe", title: str = "Owner", **more: Any) -> Person:
    more.setdefault("email", "jane@acme.com")
    return Person(full_name=name, title=title, evidence=PROOF, **more)


def test_quality_counts_level_reach_and_evidence() -> None:
    best = person(email_status=EmailStatus.PUBLISHED, linkedin_url="https://linkedin.com/in/jane", email_evidence=PROOF)
    assert quality_score(best) == 100
    assert quality_score(person(email_status=EmailStatus.PUBLISHED)) < 100
    assert quality_score(person(title="Office Manager", email=None, phone="+15125550100")) < 50


def test_better_level_and_email_never_score_less() -> None:
    by_level = [quality_score(person(title=TITLE_BY_LEVEL[level])) for level in TitleLevel]
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
def test_selection_is_best_level_first_and_limited(people: list[Person], contacts_max: int) -> None:
    selected, drops = select_contacts(people, contacts_max)
    levels = [rank_title(chosen.title).level for chosen in selected]
    assert levels == sorted(levels) and len(selected) <= contacts_max
    assert all(is_named_person(chosen.full_name) and chosen.is_reachable for chosen in selected)
    assert TitleLevel.NONE not in levels
    assert len({person_key(chosen.full_name) for chosen in selected}) == len(selected)
    assert drops.get(ContactDrop.BEYOND_MAXIMUM, 0) == 0 or len(selected) == contacts_max


@settings(deadline=None)
@given(st.lists(PEOPLE, max_size=6, unique_by=lambda one: person_key(one.full_name)).flatmap(
    lambda people: st.tuples(st.just(people), st.permutations(people))
))  # fmt: skip
def test_selection_ignores_the_order_of_people(
    both: tuple[list[Person], list[Person]],
) -> None:
    assert select_contacts(both[0], 2) == select_contacts(both[1], 2)


def test_equal_people_are_ordered_by_name() -> None:
    people = [person("John Roe"), person("Ann Lee"), person("Jane Doe")]
    assert [chosen.full_name for chosen in select_contacts(people, 2)[0]] == ["Ann Lee", "Jane Doe"]


def test_dropped_people_are_counted_by_reason() -> None:
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


def test_person_named_twice_keeps_the_better_proof() -> None:
    weak, strong = person("JOSE NUNEZ"), person("José Núñez", email_status=EmailStatus.PUBLISHED, email_evidence=PROOF)
    assert select_contacts([weak, strong], 3)[0] == [strong]
