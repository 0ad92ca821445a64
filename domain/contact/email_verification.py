"""Set the status of every address of a company's people: published, refused or inferred (docs/domain.md, "Contact").

Verification first undoes earlier verification, so it is idempotent.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from domain.contact.email_address import EmailStatus, email_domain, is_role_mailbox
from domain.contact.email_pattern import InferredPattern, PublishedAddress, infer_pattern
from domain.contact.mail_domain import MailDomain, MailVerdict
from domain.contact.person import Person, is_named_person, person_key
from domain.contact.title_levels import TitleLevel, rank_title
from domain.frozen_model import FrozenModel

_NAME_LETTERS_MIN = 3  # two letters of a name occur in many addresses by chance


class VerifiedEmails(FrozenModel):
    """Counts of deliverable addresses per status, and of refused ones per ``email:reason``."""

    people: tuple[Person, ...]
    statuses: dict[str, int]
    refused: dict[str, int]


def published_domains(people: Iterable[Person]) -> set[str]:
    """Return the domains to look up in DNS."""
    return {email_domain(person.email) for person in map(without_verification, people) if person.email}


def verify_addresses(people: Iterable[Person], domains: Mapping[str, MailDomain]) -> VerifiedEmails:
    """Set the status of every address of one company.

    - A published address is not delivered if its domain refuses mail.
    - A decision maker without an address gets one in the company's pattern, but only if exactly one domain that accepts
      mail has a pattern, nobody else has that address, and no printed address of an unknown owner contains the person's
      first or last name.

    Args:
        people: everyone stored for the company.
        domains: DNS results for ``published_domains(people)``.
    """
    found = [without_verification(person) for person in people]
    inferred = _inferred(found, domains)
    verified = [
        _refuse(person, domains) if person.email else inferred.get(person.full_name, person) for person in found
    ]
    return VerifiedEmails(
        people=tuple(verified),
        statuses=Counter(person.email_status.value for person in verified if person.deliverable_email),
        refused=Counter(f"email:{person.email_problem}" for person in verified if person.email_problem),
    )


def without_verification(person: Person) -> Person:
    """Undo verification: remove an inferred address, and mark a refused one as published."""
    if person.email_basis is not None:
        none = {"email": None, "email_status": EmailStatus.UNKNOWN, "email_evidence": None, "email_basis": None}
        return person.model_copy(update=none)
    if person.email_problem is not None:
        return person.model_copy(update={"email_status": EmailStatus.PUBLISHED, "email_problem": None})
    return person


def _refuse(person: Person, domains: Mapping[str, MailDomain]) -> Person:
    domain = domains.get(email_domain(person.email or ""))
    if domain is None or domain.verdict is not MailVerdict.REFUSES:
        return person
    return person.model_copy(update={"email_status": EmailStatus.UNKNOWN, "email_problem": domain.reason})


def _inferred(found: list[Person], domains: Mapping[str, MailDomain]) -> dict[str, Person]:
    published = {(person.email, person.full_name): person for person in found if person.email}
    printed = {address for person in found for address in person.printed_emails or ()}
    unnamed = printed - {email for email, _ in published}
    pattern = _only_pattern(found, domains, unnamed)
    if pattern is None:
        return {}
    proposed = {person.full_name: pattern.address_of(person.full_name) for person in found if not person.email}
    taken = Counter([*(email for email, _ in published), *sorted(unnamed), *filter(None, proposed.values())])
    basis = [published[one.email, one.full_name] for one in pattern.basis]
    update = {
        "email_status": EmailStatus.INFERRED,
        "email_evidence": basis[0].email_evidence,
        "email_basis": _basis_note(pattern, basis),
    }
    return {
        person.full_name: person.model_copy(update={"email": address, **update})
        for person in found
        if (address := proposed.get(person.full_name)) and taken[address] == 1 and not is_role_mailbox(address)
        if is_named_person(person.full_name) and rank_title(person.title).level is not TitleLevel.NONE
        if person.printed_emails is not None and not _may_own_one(person, unnamed)
    }


def _only_pattern(
    found: list[Person], domains: Mapping[str, MailDomain], unnamed: Iterable[str]
) -> InferredPattern | None:
    """Return the pattern of the only domain that has one and accepts mail. With two, the choice would be a guess."""
    published = [
        PublishedAddress(full_name=person.full_name, email=person.email)
        for person in found
        if person.email and person.email_status is EmailStatus.PUBLISHED
    ]
    accepting = sorted(name for name, domain in domains.items() if domain.verdict is MailVerdict.ACCEPTS)
    patterns = [pattern for name in accepting if (pattern := infer_pattern(name, published, unnamed))]
    return patterns[0] if len(patterns) == 1 else None


def _may_own_one(person: Person, unnamed: Iterable[str]) -> bool:
    words = [word for word in person_key(person.full_name).split() if len(word) >= _NAME_LETTERS_MIN]
    return any(word in address.partition("@")[0] for address in unnamed for word in words)


def _basis_note(pattern: InferredPattern, basis: list[Person]) -> str:
    """Return ``first.last, as jane.doe@acme.com (Jane Doe, https://acme.com/team) and …``"""
    shown = (f"{one.email} ({one.full_name}, {(one.email_evidence or one.evidence).url})" for one in basis)
    return f"{pattern.pattern}, as {' and '.join(shown)}"
