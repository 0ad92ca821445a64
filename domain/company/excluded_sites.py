"""Sites that can never be a company's own: directories, vendors, social networks, shared hosts …

The list is data (``excluded_sites.toml``), read once at import so that a workflow never reads a file.
"""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources

from domain.company.hosts import host_and_parents, is_ip_address, normalized_host, registrable_domain


class ExcludedSiteKind(StrEnum):
    """Why a site is nobody's own company site (DOMAIN, "Identity"; LESSONS F79)."""

    VENDOR = "vendor"
    DIRECTORY = "directory"
    LISTING_SITE = "listing_site"
    ASSOCIATION = "association"
    SOCIAL = "social"
    SEARCH = "search"
    FREE_HOST = "free_host"
    PUBLIC_BODY = "public_body"
    NO_DOMAIN = "no_domain"


class ExcludedSitesError(ValueError):
    """The deny list is not usable; the message names the reason and the entry."""


def excluded_site_kind(domain: str) -> ExcludedSiteKind | None:
    """Why a domain, host or URL can never be a company's own site, or None when nothing speaks against it.

    The most specific entry of the deny list decides (``sites.google.com`` is a free host, ``google.com`` a search
    engine). What has no registrable domain, a bare suffix included, is refused too: ``no_domain`` unless listed.
    """
    host = normalized_host(domain)
    if host is None or is_ip_address(host):
        return ExcludedSiteKind.NO_DOMAIN
    for tail in host_and_parents(host):
        reason = _EXCLUDED_SITES.get(tail)
        if reason is not None:
            return reason
    return None if registrable_domain(host) else ExcludedSiteKind.NO_DOMAIN


def is_company_domain(domain: str) -> bool:
    """Whether a registrable domain can mean one company alone: not a host that many share (``bit.ly``, ``weebly.com``).

    A customer's own name below a free host is one (``acme.wixsite.com``), where the public suffix list tells it apart.
    """
    reason = excluded_site_kind(domain)
    if reason is ExcludedSiteKind.FREE_HOST:
        return domain not in _EXCLUDED_SITES and registrable_domain(domain) == domain
    return reason is None


def read_excluded_sites(text: str) -> dict[str, ExcludedSiteKind]:
    """The deny list as domain → reason, from TOML of the form ``[directory]`` / ``domains = ["yelp.com", …]``.

    Raises:
        ExcludedSitesError: an unknown reason or key, an entry not in normal form, or one that stands there twice.
    """
    found: dict[str, ExcludedSiteKind] = {}
    for reason_name, table in tomllib.loads(text).items():
        try:
            reason = ExcludedSiteKind(reason_name)
        except ValueError as error:
            known = ", ".join(ExcludedSiteKind)
            raise ExcludedSitesError(f"unknown reason {reason_name!r}; known reasons: {known}") from error
        for entry in _entries(reason, table):
            if entry in found:
                raise ExcludedSitesError(f"{reason}: {entry} is already listed as {found[entry]}")
            found[entry] = reason
    return found


def _entries(reason: ExcludedSiteKind, table: object) -> list[str]:
    if not isinstance(table, Mapping) or set(table) != {"domains"} or not isinstance(table["domains"], list):
        raise ExcludedSitesError(f"{reason}: needs exactly one key, domains, a list of names")
    entries: list[str] = []
    for entry in table["domains"]:
        if not isinstance(entry, str) or normalized_host(entry) != entry:
            raise ExcludedSitesError(f"{reason}: {entry!r} is not a host name in normal form")
        entries.append(entry)
    return entries


_EXCLUDED_SITES = read_excluded_sites(
    resources.files("domain.company").joinpath("excluded_sites.toml").read_text(encoding="utf-8")
)
