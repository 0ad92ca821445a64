"""E-mail addresses: syntax, role mailboxes and free mail services."""

import pytest

from domain.contact.email_address import FREE_MAIL_DOMAINS, clean_email, email_belongs_to, is_role_mailbox

ACME = frozenset({"acme.com"})


@pytest.mark.parametrize(
    "email",
    ["info@acme.com", "leasing@acme.com", "INFO@acme.com", "office2@acme.com", "rentals.1@acme.com",
     "no-reply@acme.com", "info+austin@acme.com", "propertymanagement@acme.com"],
)  # fmt: skip
def test_role_mailbox(email: str) -> None:
    assert is_role_mailbox(email)


@pytest.mark.parametrize("email", ["jane@acme.com", "j.doe@acme.com", "infante@acme.com", "hr.smith@acme.com"])
def test_personal_address_is_not_a_role_mailbox(email: str) -> None:
    assert not is_role_mailbox(email)


def test_address_must_be_in_a_company_domain() -> None:
    assert email_belongs_to("jane@acme.com", ACME, published_by_company=False)
    assert email_belongs_to("jane@mail.acme.com", ACME, published_by_company=False)
    assert not email_belongs_to("jane@other.com", ACME, published_by_company=True)
    assert not email_belongs_to("jane@notacme.com", ACME, published_by_company=True)
    assert not email_belongs_to("jane@acme.com.evil.com", ACME, published_by_company=True)


@pytest.mark.parametrize("domain", sorted(FREE_MAIL_DOMAINS))
def test_free_mail_counts_only_if_the_company_publishes_it(domain: str) -> None:
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
def test_address_is_normalized_or_none(given_text: str | None, cleaned: str | None) -> None:
    assert clean_email(given_text) == cleaned
