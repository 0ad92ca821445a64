"""Host names: normal form and registrable domain. Pure string rules; nothing is resolved or fetched."""

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
    """The host of a name or an http(s) URL: lower case, ASCII (IDNA A-labels), no port, no user, no trailing dot.

    ``www`` stays. An IP address is returned as such, IPv6 in brackets.

    Returns:
        None without a valid host: an empty text, another scheme, an e-mail address or a malformed name.
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
    """The part of a host that somebody registered: ``https://www.acme.co.uk:443/x`` gives ``acme.co.uk``.

    Uses the public suffix list with its private section, so ``acme.wixsite.com`` is a domain of its own. An
    unlisted top-level domain counts as a suffix (``acme.example`` is registrable).

    Returns:
        None for an IP address, a bare suffix (``com``, ``co.uk``, ``wixsite.com``) or an invalid host.
    """
    host = normalized_host(host_or_url)
    if host is None or is_ip_address(host):
        return None
    found = _PUBLIC_SUFFIXES.privatesuffix(host)
    return str(found) if found else None


def same_registrable_domain(one: str, other: str) -> bool:
    """Whether two hosts or URLs share a registrable domain; False if either has none."""
    domain = registrable_domain(one)
    return domain is not None and domain == registrable_domain(other)


def host_and_parents(host: str) -> Iterator[str]:
    """The host and its parents, longest first: ``a.b.com``, ``b.com``, ``com``."""
    yield host
    while "." in host:
        host = host.partition(".")[2]
        yield host


def is_ip_address(host: str) -> bool:
    """Whether a host in normal form is an IP address."""
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
    if labels[-1].isdecimal():  # the URL standard: a last label of digits makes it an IPv4 address
        return _ip_host(host)
    return ".".join(labels)


def _ip_host(host: str) -> str | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return f"[{address}]" if address.version == 6 else str(address)
