"""Finds accounts at PMS vendors from a slug, a portal address or a portal host."""

from functools import lru_cache

from domain.company.hosts import normalized_host
from domain.company.pms_vendors import PmsVendor, PortalAccount
from pms.rules import PmsRule, portal_account, rule_table


def find_account(vendor: PmsVendor | None, text: str) -> PortalAccount | None:
    """Return the account of a slug at a vendor, or of a portal address if ``vendor`` is None."""
    if vendor is None:
        return portal_account(text) or _account_of_host(normalized_host(text) or "")
    for rule in rule_table().rules:
        if rule.vendor is vendor and rule.slug_in != "none":
            account = portal_account(_address(rule, text))
            if account is not None and account.vendor is vendor and account.slug.lower() == text.lower():
                return account
    return None


def portal_address(account: PortalAccount) -> str | None:
    """Return a portal address of an account that ``portal_account`` recognises."""
    for rule in rule_table().rules:
        if rule.vendor is account.vendor and rule.slug_in != "none":
            address = f"https:{_address(rule, account.slug)}"
            if portal_account(address) == account:
                return address
    return None


@lru_cache(maxsize=16_384)
def is_account_host(host: str) -> bool:
    """Whether a host belongs to one account (``acme.managebuilding.com``), not to the vendor (``app.propertyware.com``)."""
    return _account_of_host(host) is not None


def _account_of_host(host: str) -> PortalAccount | None:
    """Return the account of a bare host, with any path that a rule needs."""
    if not rule_table().owns(host):
        return None
    for rule in rule_table().rules:
        if rule.slug_in == "subdomain" and host.endswith(f".{rule.domain}"):
            account = portal_account(f"//{host}{_path(rule)}")
            if account is not None:
                return account
    return None


def _address(rule: PmsRule, slug: str) -> str:
    host = f"{rule.subdomain}.{rule.domain}".lstrip(".")
    return f"//{host}{_path(rule)}".replace("{slug}", slug)


def _path(rule: PmsRule) -> str:
    return (rule.path or "/").replace("*", "x")
