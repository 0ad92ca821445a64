"""E-mail addresses: syntax, shared mailboxes, free mail services, and how well an address is proven."""

import re
from enum import StrEnum

from email_validator import EmailNotValidError, validate_email

from domain.company.hosts import registrable_domain


class EmailStatus(StrEnum):
    """How well an address is proven, best first (DOMAIN's ladder)."""

    PUBLISHED = "published"
    PROVIDER_VERIFIED = "provider_verified"
    INFERRED = "inferred"
    CATCH_ALL = "catch_all"
    UNKNOWN = "unknown"


_ROLE_LOCAL_PARTS = frozenset(
    "info contact office leasing lease leases admin administration hello support sales rentals rental rent renting team help service"
    " services maintenance repairs workorders accounting accounts billing invoices payments payable receivable ap ar management"
    " manager managers owners owner-relations tenants tenant residents resident investors landlords careers jobs recruiting"
    " marketing media press noreply no-reply donotreply mail email enquiries inquiries inquiry frontdesk reception receptionist pm"
    " propertymanagement propertymanager propertymanagers officemanager realestate realty webmaster postmaster abuse privacy legal"
    " hr operations ops broker brokers homes houses listings listing properties apply application applications showings tours"
    " moveins moveouts emergency afterhours dispatch vendors vendor customerservice customercare clientservices concierge hoa"
    " feedback reviews newsletter website web".split()
)
FREE_MAIL_DOMAINS = frozenset(
    "gmail.com googlemail.com yahoo.com hotmail.com outlook.com live.com msn.com aol.com icloud.com me.com"
    " protonmail.com proton.me gmx.com mail.com comcast.net att.net verizon.net sbcglobal.net".split()
)


def clean_email(text: str | None) -> str | None:
    """A normalised address, or None where the text is none. Syntax only (RFC 5321, by email-validator)."""
    if text is None:
        return None
    try:
        return validate_email(text.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        return None


def is_role_mailbox(email: str) -> bool:
    """Whether an address is shared by its local part (info@, leasing@ …), or under a company's domain by a part of it.

    A part has three letters or more (leasing.dallas@, leasing-team@; "hr.smith@" begins with initials). A free-mail address is
    somebody's by its whole ("lee.homes@gmail.com").
    """
    local, _, domain = email.lower().partition("@")
    local = local.partition("+")[0]  # info+austin@ is info@
    parts = (
        [local]
        if domain in FREE_MAIL_DOMAINS
        else [local, *(part for part in re.split(r"[._-]", local) if len(part) > 2)]
    )
    return any(re.sub(r"[._-]?\d+$", "", part) in _ROLE_LOCAL_PARTS for part in parts)


def email_belongs_to(email: str, company_domains: frozenset[str], *, published_by_company: bool) -> bool:
    """Whether an address is acceptable for a person of a company: the company's own domains, or a free-mail
    address that the company's own site publishes for that person."""
    domain = registrable_domain(email.rpartition("@")[2])
    if domain in company_domains:
        return True
    return domain in FREE_MAIL_DOMAINS and published_by_company


def email_domain(email: str) -> str:
    """What stands after the @."""
    return email.rpartition("@")[2].lower()
