"""Host names: normal form, registrable domain, and which sites can never be a company's own.

Pure rules on names; nothing here resolves or opens an address. What a portal host says about a company's software
is in ``tools/pms``. The deny list is data (``data/not_leads.toml``), read once at import so that a workflow never reads
a file.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from urllib.parse import urlsplit

import idna
from publicsuffixlist import PublicSuffixList


class NotALead(StrEnum):
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


class DenyListError(ValueError):
    """The deny list is not usable; the message names the reason and the entry."""


def normalized_host(host_or_url: str) -> str | None:
    """The host of a name or an http(s) URL in the one form everything compares.

    Lower case, ASCII (IDNA A-labels), no port, no user, no trailing dot. ``www`` stays. An IP address is returned as
    such, IPv6 in brackets.

    Returns:
        None when there is no valid host in it (empty, another scheme, an e-mail address, a malformed name).
    """
    text = host_or_url.strip().replace("\\", "/")
    scheme, separator, _ = text.partition("://")
    if not separator or "/" in scheme:
        if "@" in text.partition("/")[0]:
            return None
        text = text if text.startswith("//") else f"//{text}"
    elif scheme.lower() not in {"http", "https"}:
        return None
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # reading the port checks it
    except ValueError:
        return None
    return _ascii_host(host.removesuffix(".")) if host else None


@lru_cache(maxsize=65_536)
def registrable_domain(host_or_url: str) -> str | None:
    """The part of a host that somebody registered: ``https://www.acme.co.uk:443/x`` gives ``acme.co.uk``.

    Public suffix list including its private section, so that ``acme.wixsite.com`` is a site of its own. A top-level
    domain the list does not know counts as a suffix of one label (``acme.example`` is registrable).

    Returns:
        None for an IP address, a bare suffix (``com``, ``co.uk``, ``wixsite.com``) and whatever holds no valid host.
    """
    host = normalized_host(host_or_url)
    if host is None or _is_ip(host):
        return None
    found = _PUBLIC_SUFFIXES.privatesuffix(host)
    return str(found) if found else None


def same_site(one: str, other: str) -> bool:
    """Whether two hosts or URLs share a registrable domain; False when either has none."""
    domain = registrable_domain(one)
    return domain is not None and domain == registrable_domain(other)


def domain_tails(host: str) -> Iterator[str]:
    """The host and its parents, longest first: ``a.b.com``, ``b.com``, ``com``. Whole labels, never a substring."""
    yield host
    while "." in host:
        host = host.partition(".")[2]
        yield host


def is_not_a_lead(domain: str) -> NotALead | None:
    """Why a domain, host or URL can never be a company's own site, or None when nothing speaks against it.

    The most specific entry of the deny list decides (``sites.google.com`` is a free host, ``google.com`` a search
    engine). What has no registrable domain, a bare suffix included, is refused too: ``no_domain`` unless listed.
    """
    host = normalized_host(domain)
    if host is None or _is_ip(host):
        return NotALead.NO_DOMAIN
    for tail in domain_tails(host):
        reason = _NOT_LEADS.get(tail)
        if reason is not None:
            return reason
    return None if registrable_domain(host) else NotALead.NO_DOMAIN


def is_company_domain(domain: str) -> bool:
    """Whether a registrable domain can mean one company alone: not a host that many share (``bit.ly``, ``weebly.com``).

    A customer's own name below a free host is one (``acme.wixsite.com``), where the public suffix list tells it apart.
    """
    reason = is_not_a_lead(domain)
    if reason is NotALead.FREE_HOST:
        return domain not in _NOT_LEADS and registrable_domain(domain) == domain
    return reason is None


def read_deny_list(text: str) -> dict[str, NotALead]:
    """The deny list as domain → reason, from TOML of the form ``[directory]`` / ``domains = ["yelp.com", …]``.

    Raises:
        DenyListError: an unknown reason or key, an entry not in normal form, or one that stands there twice.
    """
    found: dict[str, NotALead] = {}
    for reason_name, table in tomllib.loads(text).items():
        try:
            reason = NotALead(reason_name)
        except ValueError as error:
            known = ", ".join(NotALead)
            raise DenyListError(f"unknown reason {reason_name!r}; known reasons: {known}") from error
        for entry in _entries(reason, table):
            if entry in found:
                raise DenyListError(f"{reason}: {entry} is already listed as {found[entry]}")
            found[entry] = reason
    return found


def _entries(reason: NotALead, table: object) -> list[str]:
    if not isinstance(table, Mapping) or set(table) != {"domains"} or not isinstance(table["domains"], list):
        raise DenyListError(f"{reason}: needs exactly one key, domains, a list of names")
    entries: list[str] = []
    for entry in table["domains"]:
        if not isinstance(entry, str) or normalized_host(entry) != entry:
            raise DenyListError(f"{reason}: {entry!r} is not a host name in normal form")
        entries.append(entry)
    return entries


_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MAX_HOST_LENGTH = 253  # RFC 1035, section 2.3.4, without the trailing dot


def _ascii_host(host: str) -> str | None:
    if ":" in host:
        return _ip(host)
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii").removesuffix(".")
        except idna.IDNAError:
            return None
    labels = host.lower().split(".")
    if len(host) > _MAX_HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    if labels[-1].isdecimal():  # the URL standard: a last label of digits is an IPv4 address or nothing
        return _ip(host)
    return ".".join(labels)


def _ip(host: str) -> str | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return f"[{address}]" if address.version == 6 else str(address)  # an IPv6 host keeps its brackets, as in a URL


def _is_ip(host: str) -> bool:
    return host.startswith("[") or host.rpartition(".")[2].isdecimal()


_PUBLIC_SUFFIXES = PublicSuffixList()
_NOT_LEADS = read_deny_list(resources.files("domain.company").joinpath("not_leads.toml").read_text(encoding="utf-8"))
