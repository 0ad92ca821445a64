"""What becomes of the addresses of one company's people: which stay published, which are refused, which can be inferred.
Pure rules (DOMAIN, "Contact"): what DNS has said comes in, people with their status go out.

An address is inferred only for a person who stands in one row of cards with one whose address is printed, and only where nothing
that the company's pages print speaks against it: not what it prints of people whom nobody has named either.

The same people and the same answers give the same result however often it is worked out, also from a result: what an earlier
verification inferred or refused is taken back first.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from domain.contact.email_address import EmailStatus, email_domain, is_role_mailbox
from domain.contact.email_pattern import InferredPattern, PublishedAddress, infer_pattern
from domain.contact.mail_domain import MailDomain, MailVerdict
from domain.contact.person import Person, is_named_person, person_key
from domain.contact.title_levels import TitleLevel, rank_title

_TELLING_LETTERS_MIN = 3  # of a name in an address; two letters are in many


class VerifiedEmails(BaseModel):
    """A company's people with the status of their addresses.

    Attributes:
        statuses: how many addresses that can be delivered have which status.
        refused: how many published addresses are not delivered, by ``email:why``.
    """

    model_config = ConfigDict(frozen=True)

    people: tuple[Person, ...]
    statuses: dict[str, int]
    refused: dict[str, int]


def published_domains(people: Iterable[Person]) -> set[str]:
    """The domains of the addresses that pages print: those to ask DNS about."""
    return {email_domain(person.email) for person in map(without_verification, people) if person.email}


def verify_addresses(people: Iterable[Person], domains: Mapping[str, MailDomain]) -> VerifiedEmails:
    """Settle the status of every address of one company.

    - A published address whose domain refuses mail loses its status and is not delivered. A domain that is unknown, or was
      not asked about, changes nothing.
    - A decision maker without an address gets the one that the pattern of the company's published addresses gives, where
      the domain accepts mail, exactly one of the company's domains has a pattern, every address printed may be made by it,
      nobody else has that address, and no printed address of somebody unnamed holds the person's first or last name.

    Args:
        people: all people stored for the company.
        domains: what is known of the mail of ``published_domains(people)``.
    """
    found = [without_verification(person) for person in people]
    inferred = _inferred(found, domains)
    settled = [
        _refused(person, domains) if person.email else inferred.get(person.full_name, person) for person in found
    ]
    return VerifiedEmails(
        people=tuple(settled),
        statuses=Counter(one.email_status.value for one in settled if one.deliverable_email),
        refused=Counter(f"email:{one.email_problem}" for one in settled if one.email_problem),
    )


def without_verification(person: Person) -> Person:
    """The person before any verification: a refused address is a published one, an inferred one is none."""
    if person.email_basis is not None:
        nothing = {"email": None, "email_status": EmailStatus.UNKNOWN, "email_evidence": None, "email_basis": None}
        return person.model_copy(update=nothing)
    if person.email_problem is not None:
        return person.model_copy(update={"email_status": EmailStatus.PUBLISHED, "email_problem": None})
    return person


def _refused(person: Person, domains: Mapping[str, MailDomain]) -> Person:
    domain = domains.get(email_domain(person.email or ""))
    if domain is None or domain.verdict is not MailVerdict.REFUSES:
        return person
    return person.model_copy(update={"email_status": EmailStatus.UNKNOWN, "email_problem": domain.reason})


def _inferred(found: list[Person], domains: Mapping[str, MailDomain]) -> dict[str, Person]:
    """By name, the people who get an inferred address, with it."""
    published = {(person.email, person.full_name): person for person in found if person.email}
    printed = {address for person in found for address in person.printed_emails or ()}
    unnamed = printed - {email for email, _ in published}
    pattern = _only_pattern(found, domains, unnamed)
    if pattern is None:
        return {}
    proposed = {person.full_name: pattern.address_of(person.full_name) for person in found if not person.email}
    taken = Counter([*(email for email, _ in published), *unnamed, *filter(None, proposed.values())])
    basis = [published[one.email, one.full_name] for one in pattern.basis]
    return {
        person.full_name: person.model_copy(
            update={
                "email": address,
                "email_status": EmailStatus.INFERRED,
                "email_evidence": basis[0].email_evidence,
                "email_basis": _basis_note(pattern, basis),
            }
        )
        for person in found
        if (address := proposed.get(person.full_name)) and taken[address] == 1 and not is_role_mailbox(address)
        if is_named_person(person.full_name) and rank_title(person.title).level is not TitleLevel.NONE
        if person.printed_emails is not None and not _may_have_one(person, unnamed)
    }


def _may_have_one(person: Person, unnamed: Iterable[str]) -> bool:
    """Whether a printed address that nobody is known to have may be the person's: it holds their first or last name."""
    words = [word for word in person_key(person.full_name).split() if len(word) >= _TELLING_LETTERS_MIN]
    return any(word in address.partition("@")[0] for address in unnamed for word in words)


def _basis_note(pattern: InferredPattern, basis: list[Person]) -> str:
    """``first.last, as jane.doe@acme.com (Jane Doe, https://acme.com/team) and …``"""
    shown = (f"{one.email} ({one.full_name}, {(one.email_evidence or one.evidence).url})" for one in basis)
    return f"{pattern.pattern}, as {' and '.join(shown)}"


def _only_pattern(
    found: list[Person], domains: Mapping[str, MailDomain], unnamed: Iterable[str]
) -> InferredPattern | None:
    """The pattern of the one domain that has one and takes mail; two would leave open which is a person's."""
    published = [
        PublishedAddress(full_name=person.full_name, email=person.email)
        for person in found
        if person.email and person.email_status is EmailStatus.PUBLISHED
    ]
    accepting = sorted(name for name, domain in domains.items() if domain.verdict is MailVerdict.ACCEPTS)
    patterns = [pattern for name in accepting if (pattern := infer_pattern(name, published, unnamed))]
    return patterns[0] if len(patterns) == 1 else None
