"""Select and order the people to deliver as contacts (docs/domain.md, "Contact")."""

from collections import Counter
from enum import StrEnum

from domain.contact.email_address import EmailStatus
from domain.contact.person import Person, is_named_person, person_key
from domain.contact.title_levels import TitleLevel, rank_title

CONTACT_ATTEMPTS_MAX = 2  # then the run tries another company instead

# Our choice of points: level up to 50, reach up to 35, evidence up to 15.
_LEVEL_POINTS = {
    TitleLevel.OWNER: 50,
    TitleLevel.DIRECTOR: 42,
    TitleLevel.OPERATIONS: 36,
    TitleLevel.MANAGER: 28,
    TitleLevel.OFFICE: 18,
}
_OTHER_LEVEL_POINTS = 8
_EMAIL_POINTS = {EmailStatus.PUBLISHED: 25, EmailStatus.PROVIDER_VERIFIED: 22, EmailStatus.INFERRED: 12}
_OTHER_EMAIL_POINTS = 5
_LINKEDIN_POINTS = 10
_OWN_EVIDENCE_POINTS, _OTHER_EVIDENCE_POINTS = 15, 8


class ContactDrop(StrEnum):
    NOT_NAMED = "not_named"
    NOT_A_DECISION_MAKER = "not_a_decision_maker"
    NOT_REACHABLE = "not_reachable"
    BEYOND_MAXIMUM = "beyond_maximum"


def select_contacts(people: list[Person], contacts_max: int) -> tuple[list[Person], dict[ContactDrop, int]]:
    """Return the people to deliver, and how many were dropped per reason.

    They are sorted by level, quality and name, so the order of ``people`` does not matter.
    """
    drops: Counter[ContactDrop] = Counter()
    kept: dict[str, Person] = {}
    for person in people:
        if not is_named_person(person.full_name):
            drops[ContactDrop.NOT_NAMED] += 1
        elif rank_title(person.title).level is TitleLevel.NONE:
            drops[ContactDrop.NOT_A_DECISION_MAKER] += 1
        elif not person.is_reachable:
            drops[ContactDrop.NOT_REACHABLE] += 1
        else:
            key = person_key(person.full_name)
            kept[key] = better_proven(person, kept.get(key, person))
    ranked = sorted(kept.values(), key=lambda p: (rank_title(p.title).level, -quality_score(p), p.full_name))
    if len(ranked) > contacts_max:
        drops[ContactDrop.BEYOND_MAXIMUM] = len(ranked) - contacts_max
    return ranked[:contacts_max], dict(drops)


def better_proven(first: Person, second: Person) -> Person:
    """Return the claim with the higher quality score, or the second on a tie."""
    return first if quality_score(first) > quality_score(second) else second


def quality_score(person: Person) -> int:
    points = _LEVEL_POINTS.get(rank_title(person.title).level, _OTHER_LEVEL_POINTS)
    if person.deliverable_email:
        points += _EMAIL_POINTS.get(person.email_status, _OTHER_EMAIL_POINTS)
    if person.linkedin_url:
        points += _LINKEDIN_POINTS
    # The evidence for an inferred address is other people's addresses.
    has_own_address = person.email_evidence and person.deliverable_email and person.email_basis is None
    return points + (_OWN_EVIDENCE_POINTS if has_own_address or person.linkedin_evidence else _OTHER_EVIDENCE_POINTS)
