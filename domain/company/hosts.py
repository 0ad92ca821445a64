"""Normalize host names and find registrable domains, without network access."""

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import urlsplit

import idna
from publicsuffixlist import PublicSuffixList

_PUBLIC_SUFFIXES = PublicSuffixList()
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MAX_HOST_LENGTH = 253  # RFC 1035, section 2.3.4, without the trailing dot


def normalized_host(host_or_url: str) -> str | None:
    """Return the host of a name or http(s) URL in lower-case ASCII (IDNA A-labels), or None if it is invalid.

    Port, user and trailing dot are removed. ``www`` stays. IPv6 addresses are in brackets. An email address has no host.
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
        host, _ = parts.hostname, parts.port  # reading the port validates it
    except ValueError:
        return None
    return _ascii_host(host.removesuffix(".")) if host else None


@lru_cache(maxsize=65_536)
def registrable_domain(host_or_url: str) -> str | None:
    """Return the domain that was registered: ``https://www.acme.co.uk:443/x`` gives ``acme.co.uk``.

    Private suffixes count as suffixes, so ``acme.wixsite.com`` is registrable. So is ``acme.example``, although its suffix is
    not on the public suffix list.

    Returns:
        None for an IP address, a suffix (``com``, ``co.uk``, ``wixsite.com``) or an invalid host.
    """
    host = normalized_host(host_or_url)
    if host is None or is_ip_address(host):
        return None
    found = _PUBLIC_SUFFIXES.privatesuffix(host)
    return str(found) if found else None


def same_registrable_domain(one: str, other: str) -> bool:
    domain = registrable_domain(one)
    return domain is not None and domain == registrable_domain(other)


def host_and_parents(host: str) -> Iterator[str]:
    """Yield ``a.b.com``, ``b.com``, ``com``."""
    yield host
    while "." in host:
        host = host.partition(".")[2]
        yield host


def is_ip_address(host: str) -> bool:
    return host.startswith("[") or host.rpartition(".")[2].isdecimal()


def _ascii_host(host: str) -> str | None:
    if ":" in host:
        return _ip_host(host)
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii").removesuffix(".")
        except idna.IDNAError:
            return None
    labels = host.lower().split(".")
    if len(host) > _MAX_HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    if labels[-1].isdecimal():  # URL standard: a numeric last label means an IPv4 address
        return _ip_host(host)
    return ".".join(labels)


def _ip_host(host: str) -> str | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return f"[{address}]" if address.version == 6 else str(address)
