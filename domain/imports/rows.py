"""Convert rows of an imported file to suppression entries, customers or portal accounts.

An invalid row raises a ``RowError`` with the column, the value and what was expected. Imported values prove nothing, so
they are never delivered.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import get_args

from domain.company.excluded_sites import ExcludedSiteKind, excluded_site_kind
from domain.company.hosts import normalized_host, registrable_domain
from domain.company.identity import normalized_company_name, normalized_phone
from domain.company.places import state_code
from domain.company.pms_vendors import PmsVendor, PortalAccount, canonical_vendor, nearest_vendor
from domain.company.suppression import Suppression, SuppressionReason
from domain.contact.email_address import FREE_MAIL_DOMAINS
from domain.frozen_model import FrozenModel
from domain.imports.columns import header_key
from domain.imports.table import Row

_YES = frozenset({"yes", "y", "true", "1", "x", "on", "do not contact", "dnc", "opted out"})
_NO = frozenset({"no", "n", "false", "0", "off"})
_CHURNED = frozenset(
    {"churned", "churn", "cancelled", "canceled", "former", "former customer", "inactive", "lost", "ended"}
)
_CURRENT = frozenset({"active", "current", "customer", "live", "trial", "paying", "evangelist", "past due", "at risk"})
_REASONS: dict[str, SuppressionReason] = {reason: reason for reason in get_args(SuppressionReason)}
_SHOWN_CHARS_MAX = 80

IsAccountHost = Callable[[str], bool]
"""Whether a host is the portal of one company (``pms/accounts.py``)."""
FindAccount = Callable[[PmsVendor | None, str], PortalAccount | None]
"""Finds the account for a slug or a portal address (``pms/accounts.py``)."""
PortalAddress = Callable[[PortalAccount], str | None]
"""Returns the address of an account's portal (``pms/accounts.py``)."""


class RowError(ValueError):
    """Raised for an invalid row. The message is for the person who fixes the file."""


class SuppressionChange(FrozenModel):
    """One entry per domain of the company. If ``is_listed`` is False, the entries are removed."""

    entries: tuple[Suppression, ...]
    is_listed: bool = True


class Seed(FrozenModel):
    """A company's account at a software vendor. The other fields are unproven hints."""

    vendor: PmsVendor
    slug: str
    portal_url: str | None = None
    company_name: str | None = None
    city: str | None = None
    state: str | None = None
    website: str | None = None
    phone: str | None = None


def suppression_row(
    row: Row, source: str, is_account_host: IsAccountHost, default_reason: SuppressionReason = "do_not_contact"
) -> SuppressionChange | None:
    """Convert a row of a do-not-contact or contacted list.

    One yes in any "do not contact" column is enough. The latest contact date counts.

    Returns:
        None if no "do not contact" column says yes and the row has neither reason nor contact date.
    """
    flags, stated = [header_key(flag) for flag in row.all("do_not_contact")], row.first("reason")
    contacted_at = max((_time("contacted_at", text) for text in row.all("contacted_at")), default=None)
    reason = _reason(stated) if stated else None
    for flag, text in zip(flags, row.all("do_not_contact"), strict=True):
        if flag not in _YES | _NO:
            raise RowError(f"do_not_contact is {_shown(text)}; expected yes or no")
    if _YES.intersection(flags):
        reason = "do_not_contact"
    elif "do_not_contact" in row.cells and reason is None:
        if contacted_at is None:
            return None
        reason = "contacted"
    return SuppressionChange(entries=_entries(row, reason or default_reason, contacted_at, source, is_account_host))


def customer_row(row: Row, source: str, is_account_host: IsAccountHost, now: datetime) -> SuppressionChange:
    """Convert a row of a customer list. A customer has left only if every given status and date says so."""
    has_left = [_time("churned_at", text) <= now for text in row.all("churned_at")]
    for status in row.all("status"):
        key = header_key(status)
        if key not in _CHURNED | _CURRENT:
            raise RowError(f"status is {_shown(status)}; expected one of {', '.join(sorted(_CURRENT | _CHURNED))}")
        has_left.append(key in _CHURNED)
    entries = _entries(row, "customer", None, source, is_account_host)
    return SuppressionChange(entries=entries, is_listed=not (has_left and all(has_left)))


def seed_row(row: Row, find_account: FindAccount, portal_address: PortalAddress) -> Seed:
    """Convert a row of portal accounts. It needs a vendor and an account slug, or a portal address."""
    vendor = _vendor(row.first("vendor"))
    address, slug = row.first("portal_url"), row.first("slug")
    if address is None and slug is not None and any(mark in slug for mark in "./"):
        address, slug = slug, None  # people put the whole address into either column
    account = _account(vendor, address, slug, find_account)
    website, phone = row.first("website"), row.first("phone")
    if phone and normalized_phone(phone) is None:
        raise RowError(f"phone is {_shown(phone)}; expected a US number with its area code")
    return Seed(
        vendor=account.vendor,
        slug=account.slug,
        portal_url=address or portal_address(account),
        company_name=row.first("company_name"),
        city=row.first("city"),
        state=_state(row),
        website=_website(website) if website else None,
        phone=normalized_phone(phone),
    )


def _account(
    vendor: PmsVendor | None, address: str | None, slug: str | None, find_account: FindAccount
) -> PortalAccount:
    account = find_account(None, address) if address else None
    if address and account is None:
        raise RowError(
            f"portal_url is {_shown(address)}; expected the portal of an account, such as https://acme.managebuilding.com"
        )
    if address and account and vendor not in {None, account.vendor}:
        raise RowError(f"the vendor is {vendor}, but {_shown(address)} is a portal of {account.vendor}")
    if slug:
        if vendor is None and account is None:
            raise RowError(f"slug is {_shown(slug)} without a vendor; expected both, or a portal address")
        named = find_account(vendor or (account.vendor if account else None), slug)
        if named is None:
            raise RowError(f"slug is {_shown(slug)}; expected the account's name in the portal addresses of {vendor}")
        if account is not None and named != account:
            raise RowError(f"slug is {_shown(slug)}, but the account of {_shown(address or '')} is {account.slug!r}")
        return named
    if account is None:
        raise RowError("no account; expected a vendor with a slug, or a portal address")
    return account


def _entries(
    row: Row, reason: SuppressionReason, contacted_at: datetime | None, source: str, is_account_host: IsAccountHost
) -> tuple[Suppression, ...]:
    domains = dict.fromkeys(_own_domain("domain", value, is_account_host) for value in row.all("domain"))
    name, state = row.first("company_name"), _state(row)
    if name and not normalized_company_name(name):
        raise RowError(f"company_name is {_shown(name)}; expected a name, not only a legal form")
    if not domains and not (name and state):
        given = f"only company_name {_shown(name)}" if name else "neither"
        raise RowError(f"names no company: {given}; expected a domain, or company_name and state")
    has_pair = bool(name and state)
    return tuple(
        Suppression(
            domain=domain,
            name=name if has_pair else None,
            state=state if has_pair else None,
            reason=reason,
            contacted_at=contacted_at,
            source=row.first("source") or source,
        )
        for domain in domains or (None,)
    )


def _own_domain(column: str, value: str, is_account_host: IsAccountHost) -> str:
    """Return the registrable domain of a company's own site, or the whole host of its portal."""
    host = normalized_host(value)
    if host is not None and is_account_host(host):
        return host
    domain = registrable_domain(host) if host else None
    kind = excluded_site_kind(value)
    if host is None:
        problem = "which is not a domain"
    elif domain in FREE_MAIL_DOMAINS:
        problem = "a free mail service that many companies use"
    elif domain is None or kind is ExcludedSiteKind.NO_DOMAIN:
        problem = "which nobody can register (an IP address or a bare suffix)"
    elif kind is not None:
        problem = f"a site of many companies ({kind.value.replace('_', ' ')})"
    else:
        return domain
    raise RowError(f"{column} is {_shown(value)}, {problem}; expected the company's own domain, such as acme.com")


def _website(text: str) -> str:
    _own_domain("website", text, lambda _: False)
    return text if "://" in text else f"http://{text.lstrip('/')}"


def _state(row: Row) -> str | None:
    text = row.first("state")
    code = state_code(text) if text else None
    if text and code is None:
        raise RowError(f"state is {_shown(text)}; expected a US state, such as TX or Texas")
    return code


def _vendor(text: str | None) -> PmsVendor | None:
    vendor = canonical_vendor(text) if text else None
    if text and vendor is None:
        near = nearest_vendor(text)
        hint = f"; did you mean {near.value}?" if near else ""
        raise RowError(f"vendor is {_shown(text)}; expected one of {', '.join(PmsVendor)}{hint}")
    return vendor


def _reason(text: str) -> SuppressionReason:
    reason = _REASONS.get(header_key(text).replace(" ", "_"))
    if reason is None:
        raise RowError(f"reason is {_shown(text)}; expected one of {', '.join(_REASONS)}")
    return reason


def _time(column: str, text: str) -> datetime:
    """Parse ISO 8601 or the US spreadsheet date format. Without a zone, it is UTC."""
    for parse in (datetime.fromisoformat, _us_date):
        with suppress(ValueError):
            at = parse(text)
            return at if at.tzinfo else at.replace(tzinfo=UTC)
    raise RowError(f"{column} is {_shown(text)}; expected a date such as 2026-11-23 or 11/23/2026")


def _us_date(text: str) -> datetime:
    return datetime.strptime(text.split()[0], "%m/%d/%Y").replace(tzinfo=UTC)


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN_CHARS_MAX else f"{value[:_SHOWN_CHARS_MAX]}…")
