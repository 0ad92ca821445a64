"""Which people of a company are delivered as contacts, in which order."""

from enum import StrEnum

from domain.contact.email_address import EmailStatus
from domain.contact.person import Person, is_named_person, is_reachable, person_key
from domain.contact.title_levels import TitleLevel, rank_title

CONTACT_ATTEMPTS_MAX = 2  # bounded, then another company takes its place (LESSONS F12)


class ContactDrop(StrEnum):
    """Why a named person is not a contact; counted per company."""

    NOT_NAMED = "not_named"
    NOT_A_DECISION_MAKER = "not_a_decision_maker"
    NOT_REACHABLE = "not_reachable"
    BEYOND_MAXIMUM = "beyond_maximum"


def quality_score(person: Person) -> int:
    """0 to 100: level (up to 50), reach (up to 35: published email 25, inferred 12, LinkedIn 10), evidence (15).

    The figures are ours; DOMAIN only says "from level, reach and evidence".
    """
    level = {
        TitleLevel.OWNER: 50,
        TitleLevel.DIRECTOR: 42,
        TitleLevel.OPERATIONS: 36,
        TitleLevel.MANAGER: 28,
        TitleLevel.OFFICE: 18,
    }
    points = level.get(rank_title(person.title).level, 8)
    if person.deliverable_email:
        by_status = {EmailStatus.PUBLISHED: 25, EmailStatus.PROVIDER_VERIFIED: 22, EmailStatus.INFERRED: 12}
        points += by_status.get(person.email_status, 5)
    points += 10 if person.linkedin_url else 0
    # The evidence of an inferred address is other people's.
    has_own_proof = person.email_evidence and person.deliverable_email and person.email_basis is None
    points += 15 if has_own_proof or person.linkedin_evidence else 8
    return min(points, 100)


def select_contacts(people: list[Person], contacts_max: int) -> tuple[list[Person], dict[ContactDrop, int]]:
    """The people to deliver, best level first, and how many were left out and why.

    Order: level, then quality, then name, so that the same people give the same selection.
    """
    drops: dict[ContactDrop, int] = {}
    kept: dict[str, Person] = {}
    for person in people:
        if not is_named_person(person.full_name):
            drops[ContactDrop.NOT_NAMED] = drops.get(ContactDrop.NOT_NAMED, 0) + 1
        elif rank_title(person.title).level is TitleLevel.NONE:
            drops[ContactDrop.NOT_A_DECISION_MAKER] = drops.get(ContactDrop.NOT_A_DECISION_MAKER, 0) + 1
        elif not is_reachable(person):
            drops[ContactDrop.NOT_REACHABLE] = drops.get(ContactDrop.NOT_REACHABLE, 0) + 1
        else:
            key = person_key(person.full_name)
            if key not in kept or quality_score(person) > quality_score(kept[key]):
                kept[key] = person
    ranked = sorted(kept.values(), key=lambda p: (rank_title(p.title).level, -quality_score(p), p.full_name))
    if len(ranked) > contacts_max:
        drops[ContactDrop.BEYOND_MAXIMUM] = len(ranked) - contacts_max
    return ranked[:contacts_max], drops


def better_proven(first: Person, second: Person) -> Person:
    """Of two claims about one person the one that proves more; of two that prove as much, the second."""
    return first if quality_score(first) > quality_score(second) else second
