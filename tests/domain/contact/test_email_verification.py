"""Published, refused and inferred addresses of a company's people."""

from typing import Any

import pytest

from domain.contact.contact_selection import ContactDrop, quality_score, select_contacts
from domain.contact.email_address import EmailStatus
from domain.contact.email_verification import VerifiedEmails, published_domains, verify_addresses
from domain.contact.mail_domain import MailDomain, MailReason, MailVerdict
from domain.contact.person import Person
from domain.evidence import Evidence

ACCEPTS, OTHER_ACCEPTS = (MailDomain(domain=name, reason=MailReason.MX) for name in ("acme.com", "acme.net"))


def person(name: str, email: str | None = None, title: str = "Owner", **more: Any) -> Person:
    proof = Evidence(result_id="r1", url="https://acme.com/team", quote=f"{name}, {title}")
    if email is not None:
        found = {"email_status": EmailStatus.PUBLISHED, "email_evidence": proof.model_copy(update={"quote": email})}
        more = {"email": email, **found, **more}
    return Person(full_name=name, title=title, evidence=proof, **more)


TWO = [person("Ann Lee", "ann.lee@acme.com"), person("Jane Doe", "jane.doe@acme.com")]
PRINTED = ("ann.lee@acme.com", "jane.doe@acme.com")


def beside_them(name: str, title: str = "Owner", *more: str) -> Person:
    """A person without an address, listed next to the two on pages that print their and more addresses."""
    return person(name, title=title, printed_emails=PRINTED + more)


ROE = beside_them("John Roe", "Property Manager")


def verified(people: list[Person], *domains: MailDomain) -> VerifiedEmails:
    return verify_addresses(people, {domain.domain: domain for domain in domains})


def test_two_published_addresses_give_a_third_with_its_basis() -> None:
    people = verified([*TWO, ROE], ACCEPTS).people
    assert people[:2] == tuple(TWO)
    assert (people[2].email, people[2].email_status) == ("john.roe@acme.com", EmailStatus.INFERRED)
    assert people[2].email_evidence == TWO[0].email_evidence
    assert people[2].email_basis == (
        "first.last, as ann.lee@acme.com (Ann Lee, https://acme.com/team)"
        " and jane.doe@acme.com (Jane Doe, https://acme.com/team)"
    )


@pytest.mark.parametrize("reason", [reason for reason in MailReason if reason is not MailReason.MX])
def test_nothing_is_inferred_unless_the_domain_accepts_mail(reason: MailReason) -> None:
    assert verified([*TWO, ROE], MailDomain(domain="acme.com", reason=reason)).people[2] == ROE
    assert verified([*TWO, ROE]).people == (*TWO, ROE)


@pytest.mark.parametrize(
    "others",
    [
        [TWO[0], ROE],
        [*TWO, person("Bob Ray", "bray@acme.com"), ROE],
        [*TWO, person("Johnny Roe", "john.roe@acme.com"), ROE],
        [*TWO, beside_them("Johann O’Roe"), person("Ed Fox", "e.d.fox@acme.com"), ROE],
        [*TWO, beside_them("John Roe Jr"), ROE],
        [*TWO, person("Al Fox", "afox@acme.net"), person("Bo Ray", "bray@acme.net"), ROE],
        [*TWO, beside_them("John Roe", "Bookkeeper")],
        [*TWO, beside_them("Coming Soon")],
        [*TWO, beside_them("J. Roe")],
        [person("Ann Lee", "ann@acme.com"), person("Jane Doe", "jane@acme.com"), beside_them("Rentals West")],
        [*TWO, person("John Roe")],
        [*TWO, beside_them("John Roe", "Owner", "john.roe@acme.com")],
        [*TWO, beside_them("John Roe", "Owner", "john.r.smith@acme.com")],
        [*TWO, beside_them("John Roe", "Owner", "tkay@acme.com")],
        [*TWO, beside_them("John Roe", "Owner", "pat.roe@acme.com")],
    ],
    ids=["one address", "a contradiction", "taken by another", "an odd one", "two people's", "two domains' patterns",
         "no decision maker", "nobody", "a name in doubt", "a role mailbox", "not in their row", "printed for nobody named",
         "an unnamed one's, of no such pattern", "an unnamed one's, of another pattern", "an unnamed one's with the name"],
)  # fmt: skip
def test_in_doubt_nothing_is_inferred(others: list[Person]) -> None:
    assert verified(others, ACCEPTS, OTHER_ACCEPTS).people == tuple(others)


def test_inferred_address_scores_less_than_a_published_one() -> None:
    (inferred,) = verified([*TWO, ROE], ACCEPTS).people[2:]
    published = person("John Roe", "john.roe@acme.com", ROE.title)
    assert [one.full_name for one in select_contacts([inferred], 3)[0]] == ["John Roe"]
    assert quality_score(ROE) + 12 == quality_score(inferred) < quality_score(published)
    with_profile = {"linkedin_url": "https://linkedin.com/in/roe"}
    assert quality_score(inferred.model_copy(update=with_profile)) < quality_score(
        published.model_copy(update=with_profile)
    )


@pytest.mark.parametrize("reason", list(MailReason))
def test_published_address_is_refused_only_with_its_domain(reason: MailReason) -> None:
    domain = MailDomain(domain="acme.com", reason=reason)
    result = verified(TWO[:1], domain)
    (after,) = result.people
    if domain.verdict is not MailVerdict.REFUSES:
        assert (after, result.statuses, result.refused) == (TWO[0], {"published": 1}, {})
        return
    assert (after.email_status, after.email_problem, after.deliverable_email) == (EmailStatus.UNKNOWN, reason, None)
    assert (result.statuses, result.refused) == ({}, {f"email:{reason.value}": 1})
    assert select_contacts([after], 3) == ([], {ContactDrop.NOT_REACHABLE: 1})
    assert quality_score(after) == quality_score(person("Ann Lee"))


def test_refused_address_does_not_drop_a_linkedin_contact() -> None:
    both = person("Ann Lee", "ann.lee@acme.com", linkedin_url="https://linkedin.com/in/ann")
    (after,) = verified([both], MailDomain(domain="acme.com", reason=MailReason.NULL_MX)).people
    assert select_contacts([after], 3)[0] == [after]


def test_unnamed_address_of_the_same_shape_is_no_contradiction() -> None:
    people = [*TWO, beside_them("John Roe", "Owner", "pat.kay@acme.com", "leasing.dallas@acme.com")]
    assert verified(people, ACCEPTS).people[2].email == "john.roe@acme.com"


@pytest.mark.parametrize("printed", ["jdoe@acme.com", "janey@acme.com"], ids=["of John Doe", "of her own, far away"])
def test_unnamed_printed_address_is_never_inferred(printed: str) -> None:
    two = [person("Ann Lee", "alee@acme.com"), person("Bob Ray", "bray@acme.com")]
    jane = person("Jane Doe", printed_emails=("alee@acme.com", "bray@acme.com", printed))
    assert verified([*two, jane], ACCEPTS).people[2] == jane
    open_to_all = jane.model_copy(update={"printed_emails": ("alee@acme.com", "bray@acme.com")})
    assert verified([*two, open_to_all], ACCEPTS).people[2].email == "jdoe@acme.com"


@pytest.mark.parametrize("first", list(MailReason))
@pytest.mark.parametrize("then", [MailReason.MX, MailReason.NULL_MX, MailReason.NO_ANSWER])
def test_result_depends_only_on_the_last_dns_answers(first: MailReason, then: MailReason) -> None:
    earlier = verified([*TWO, ROE], MailDomain(domain="acme.com", reason=first))
    last = MailDomain(domain="acme.com", reason=then)
    assert verified(list(earlier.people), last) == verified([*TWO, ROE], last)


def test_inferred_address_proves_no_pattern_and_needs_no_dns() -> None:
    inferred = verified([*TWO, ROE], ACCEPTS).people[2]
    bob = beside_them("Bob Ray")
    assert verified([TWO[0], inferred, bob], ACCEPTS).people == (TWO[0], ROE, bob)
    assert published_domains([inferred]) == set()
    assert published_domains(TWO) == {"acme.com"}
