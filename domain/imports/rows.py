"""What the rows of an imported file say: entries of the suppression list, customers, accounts at a software vendor.

A rule that a row breaks is a ``RowError`` that names the column, the value and what was expected. An import proves nothing: what is
read here is matched against, or looked at, never delivered.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import get_args

from pydantic import BaseModel, ConfigDict

from domain.company.excluded_sites import ExcludedSiteKind, excluded_site_kind
from domain.company.hosts import normalized_host, registrable_domain
from domain.company.identity import normalized_company_name, normalized_phone
from domain.company.places import state_code
from domain.company.pms_vendors import PmsVendor, PortalAccount, canonical_vendor, nearest_vendor
from domain.company.suppression import Suppression, SuppressionReason
from domain.contact.email_address import FREE_MAIL_DOMAINS
from domain.imports.columns import header_key
from domain.imports.table import Row

_YES = frozenset({"yes", "y", "true", "1", "x", "on", "do not contact", "dnc", "opted out"})
_NO = frozenset({"no", "n", "false", "0", "off"})
_CHURNED = frozenset(
    {"churned", "churn", "cancelled", "canceled", "former", "former customer", "inactive", "lost", "ended"}
)
_CURRENT = frozenset({"active", "current", "customer", "live", "trial", "paying", "evangelist", "past due", "at risk"})
_SHOWN_CHARS_MAX = 80


class RowError(ValueError):
    """What is wrong with a row, for the person who has to mend it."""


class SuppressionChange(BaseModel):
    """What a row does to the suppression list. Several domains of a company are an entry each.

    Attributes:
        is_listed: False takes the entries off the list, if they are on it (a customer who has left).
    """

    model_config = ConfigDict(frozen=True)

    entries: tuple[Suppression, ...]
    is_listed: bool = True


class Seed(BaseModel):
    """An account at a software vendor, as somebody listed it. The other columns are hints without proof."""

    model_config = ConfigDict(frozen=True)

    vendor: PmsVendor
    slug: str
    portal_url: str | None = None
    company_name: str | None = None
    city: str | None = None
    state: str | None = None
    website: str | None = None
    phone: str | None = None


IsAccountHost = Callable[[str], bool]
"""Whether a host is one company's own portal, so that its name alone tells the company (``pms/accounts.py``)."""
FindAccount = Callable[[PmsVendor | None, str], PortalAccount | None]
"""The account behind a slug at a vendor, or behind a portal address (``pms/accounts.py``)."""
PortalAddress = Callable[[PortalAccount], str | None]
"""An address of an account's portal (``pms/accounts.py``)."""


def suppression_row(
    row: Row, source: str, is_account_host: IsAccountHost, default_reason: SuppressionReason = "do_not_contact"
) -> SuppressionChange | None:
    """A row of a do-not-contact or contacted list; None where its "do not contact" column says no and nothing else speaks.
    Of several such columns one yes is enough, and of several dates of contact the latest counts.

    Args:
        default_reason: of a row that says nothing of why.

    Raises:
        RowError: a value cannot be used, or no company is named.
    """
    flags, stated = row.all("do_not_contact"), row.first("reason")
    contacted_at = max(_times(row, "contacted_at"), default=None)
    reason = _reason(stated) if stated else None
    for flag in flags:
        if header_key(flag) not in _YES | _NO:
            raise RowError(f"do_not_contact is {_shown(flag)}; expected yes or no")
    if any(header_key(flag) in _YES for flag in flags):
        reason = "do_not_contact"
    elif "do_not_contact" in row.cells and reason is None:
        if contacted_at is None:
            return None  # the box of a list of all companies is not ticked
        reason = "contacted"
    return SuppressionChange(entries=_entries(row, reason or default_reason, contacted_at, source, is_account_host))


def customer_row(row: Row, source: str, is_account_host: IsAccountHost, now: datetime) -> SuppressionChange:
    """A row of a customer list. A customer counts as churned only when nothing in the row says otherwise (fails closed):
    every status and every date given must say so, and a date to come is a customer still.

    Raises:
        RowError: a value cannot be used, or no company is named.
    """
    said_churned = [churned_at <= now for churned_at in _times(row, "churned_at")]
    for status in row.all("status"):
        key = header_key(status)
        if key not in _CHURNED | _CURRENT:
            raise RowError(f"status is {_shown(status)}; expected one of {', '.join(sorted(_CURRENT | _CHURNED))}")
        said_churned.append(key in _CHURNED)
    entries = _entries(row, "customer", None, source, is_account_host)
    return SuppressionChange(entries=entries, is_listed=not (said_churned and all(said_churned)))


def seed_row(row: Row, find_account: FindAccount, portal_address: PortalAddress) -> Seed:
    """A row of accounts: a vendor with an account slug, or a portal address, which holds both.

    Raises:
        RowError: a value cannot be used, or the account cannot be told.
    """
    vendor = _vendor(row.first("vendor"))
    address, slug = row.first("portal_url"), row.first("slug")
    if address is None and slug is not None and any(mark in slug for mark in "./"):
        address, slug = slug, None  # people put the whole address into either column
    account = find_account(None, address) if address else None
    if address and account is None:
        raise RowError(f"portal_url is {_shown(address)}; expected a portal address that holds an account, "
                       "such as https://acme.managebuilding.com")  # fmt: skip
    if account is not None and vendor is not None and account.vendor is not vendor:
        raise RowError(f"the vendor is {vendor}, but {_shown(address or '')} is a portal of {account.vendor}")
    if slug:
        if vendor is None and account is None:
            raise RowError(f"slug is {_shown(slug)} without a vendor; expected both, or a portal address")
        named = find_account(vendor or (account.vendor if account else None), slug)
        if named is None:
            raise RowError(
                f"slug is {_shown(slug)}; expected the account's name in the addresses of {vendor}'s portals"
            )
        if account is not None and named != account:
            raise RowError(f"slug is {_shown(slug)}, but the account of {_shown(address or '')} is {account.slug!r}")
        account = named
    if account is None:
        raise RowError("no account; expected a vendor with a slug, or a portal address")
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
        website=_address(website) if website else None,
        phone=normalized_phone(phone),
    )


def _entries(
    row: Row, reason: SuppressionReason, contacted_at: datetime | None, source: str, is_account_host: IsAccountHost
) -> tuple[Suppression, ...]:
    domains = dict.fromkeys(_own_domain("domain", value, is_account_host) for value in row.all("domain"))
    name, state = row.first("company_name"), _state(row)
    if name and not normalized_company_name(name):
        raise RowError(f"company_name is {_shown(name)}; expected a name, not a legal form alone")
    if not domains and not (name and state):
        given = f"only company_name {_shown(name)}" if name else "neither"
        raise RowError(f"names no company: {given}; expected a domain, or company_name and state")
    pair = {"name": name, "state": state} if name and state else {}
    common = {"reason": reason, "contacted_at": contacted_at, "source": row.first("source") or source, **pair}
    return tuple(Suppression.model_validate({"domain": domain, **common}) for domain in domains or (None,))


def _own_domain(column: str, value: str, is_account_host: IsAccountHost) -> str:
    """The registrable domain of a company's own site; the host of its portal stays whole, as its name tells the company."""
    expected = "expected the company's own domain, such as acme.com"
    host = normalized_host(value)
    if host is None:
        raise RowError(f"{column} is {_shown(value)}, which is no domain; {expected}")
    if is_account_host(host):
        return host
    why = excluded_site_kind(host)
    domain = registrable_domain(host)
    if domain in FREE_MAIL_DOMAINS:
        raise RowError(f"{column} is {_shown(value)}, a free mail service that many companies use; {expected}")
    if domain is None or why is ExcludedSiteKind.NO_DOMAIN:
        raise RowError(
            f"{column} is {_shown(value)}, which nobody can register (an IP address or a bare suffix); {expected}"
        )
    if why is not None:
        kind = why.value.replace("_", " ")
        raise RowError(f"{column} is {_shown(value)}, a site of many companies ({kind}); {expected}")
    return domain


def _address(website: str) -> str:
    """A company's own site as an address that can be opened."""
    _own_domain("website", website, lambda _: False)
    return website if "://" in website else f"http://{website.lstrip('/')}"


def _state(row: Row) -> str | None:
    text = row.first("state")
    if text is None:
        return None
    code = state_code(text)
    if code is None:
        raise RowError(f"state is {_shown(text)}; expected a US state, such as TX or Texas")
    return code


def _vendor(text: str | None) -> PmsVendor | None:
    if text is None:
        return None
    vendor = canonical_vendor(text)
    if vendor is None:
        near = nearest_vendor(text)
        hint = f"; did you mean {near.value}?" if near else ""
        raise RowError(f"vendor is {_shown(text)}; expected one of {', '.join(PmsVendor)}{hint}")
    return vendor


def _reason(text: str) -> SuppressionReason:
    key = header_key(text).replace(" ", "_")
    for reason in get_args(SuppressionReason):
        if key == reason:
            found: SuppressionReason = reason
            return found
    raise RowError(f"reason is {_shown(text)}; expected one of {', '.join(get_args(SuppressionReason))}")


def _times(row: Row, column: str) -> tuple[datetime, ...]:
    return tuple(_time(column, text) for text in row.all(column))


def _time(column: str, text: str) -> datetime:
    """A date or time: ISO 8601, or as US spreadsheets write it. Without a zone it is UTC."""
    at = None
    for parse in (datetime.fromisoformat, _us_date):
        try:
            at = parse(text)
            break
        except ValueError:  # the other form may fit; that none does is said below
            continue
    if at is None:
        raise RowError(f"{column} is {_shown(text)}; expected a date such as 2026-11-23 or 11/23/2026")
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _us_date(text: str) -> datetime:
    return datetime.strptime(text.split()[0], "%m/%d/%Y").replace(tzinfo=UTC)


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN_CHARS_MAX else f"{value[:_SHOWN_CHARS_MAX]}…")
