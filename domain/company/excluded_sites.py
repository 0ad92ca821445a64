"""Sites that are never a company's own: directories, vendors, social networks, free hosts and so on.

The list is in ``excluded_sites.toml``. It is loaded at import, because workflows cannot read files.
"""

import tomllib
from enum import StrEnum
from importlib import resources

from domain.company.hosts import host_and_parents, is_ip_address, normalized_host, registrable_domain


class ExcludedSiteKind(StrEnum):
    VENDOR = "vendor"
    DIRECTORY = "directory"
    LISTING_SITE = "listing_site"
    ASSOCIATION = "association"
    SOCIAL = "social"
    SEARCH = "search"
    FREE_HOST = "free_host"
    PUBLIC_BODY = "public_body"
    NO_DOMAIN = "no_domain"


def excluded_site_kind(site: str) -> ExcludedSiteKind | None:
    """Return why a domain, host or URL cannot be a company's own site, or None if it can.

    The most specific entry wins: ``sites.google.com`` is a free host, ``google.com`` a search engine.
    """
    host = normalized_host(site)
    if host is None or is_ip_address(host):
        return ExcludedSiteKind.NO_DOMAIN
    for parent in host_and_parents(host):
        if parent in _EXCLUDED_SITES:
            return _EXCLUDED_SITES[parent]
    return None if registrable_domain(host) else ExcludedSiteKind.NO_DOMAIN


def is_company_domain(domain: str) -> bool:
    """Whether a registrable domain belongs to one company, unlike a shared host (``bit.ly``, ``weebly.com``).

    A customer's name under a free host also counts (``acme.wixsite.com``).
    """
    kind = excluded_site_kind(domain)
    if kind is ExcludedSiteKind.FREE_HOST:
        return domain not in _EXCLUDED_SITES and registrable_domain(domain) == domain
    return kind is None


_TOML = tomllib.loads(resources.files("domain.company").joinpath("excluded_sites.toml").read_text(encoding="utf-8"))
_EXCLUDED_SITES = {domain: ExcludedSiteKind(kind) for kind, table in _TOML.items() for domain in table["domains"]}
