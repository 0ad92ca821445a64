"""Email addresses: syntax, role mailboxes, free mail services and status."""

import re
from enum import StrEnum

from email_validator import EmailNotValidError, validate_email

from domain.company.hosts import registrable_domain


class EmailStatus(StrEnum):
    """How well an address is proven, best first (docs/domain.md, "Contact")."""

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
    """Return a normalized address, or None for invalid syntax (RFC 5321)."""
    if text is None:
        return None
    try:
        return validate_email(text.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        return None


def email_domain(email: str) -> str:
    return email.rpartition("@")[2].lower()


def is_role_mailbox(email: str) -> bool:
    """Whether an address is shared: its local part, or a part of three or more letters, is a role name.

    ``leasing-team@`` is shared. ``hr.smith@`` is not, because it starts with initials. For free mail, only the whole local
    part counts, so ``lee.homes@gmail.com`` is personal.
    """
    local, _, domain = email.lower().partition("@")
    local = local.partition("+")[0]  # info+austin@ is info@
    parts = [local]
    if domain not in FREE_MAIL_DOMAINS:
        parts += [part for part in re.split(r"[._-]", local) if len(part) > 2]
    return any(re.sub(r"[._-]?\d+$", "", part) in _ROLE_LOCAL_PARTS for part in parts)


def email_belongs_to(email: str, company_domains: frozenset[str], *, published_by_company: bool) -> bool:
    """Whether a person at a company may have this address.

    It must be in one of the company's domains, or a free-mail address that the company's own site publishes.
    """
    domain = registrable_domain(email_domain(email))
    return domain in company_domains or (domain in FREE_MAIL_DOMAINS and published_by_company)
