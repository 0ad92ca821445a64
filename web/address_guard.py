"""Refuses addresses that are not on the public web, on every redirect too.

The connection goes to a checked IP address, so a second DNS answer cannot differ. Behind a proxy, only the URL is checked,
because the proxy resolves host names.
"""

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

import httpx2

from domain.company.hosts import normalized_host

WEB_PORTS = frozenset({80, 443, 8080, 8443})
# Local names: RFC 6761, 6762 and 8375, ICANN's .internal, and .localdomain by custom.
_LOCAL_NAMES = (".localhost", ".local", ".home.arpa", ".internal", ".localdomain")
# Some Python versions call these networks global, but they have no public websites.
_NOT_THE_WEB = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's platform (Microsoft, "What is IP address 168.63.129.16?")
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890); Oracle Cloud's metadata is at 192.0.0.192
        "192.88.99.0/24",  # 6to4 relays, withdrawn (RFC 7526)
        "2001::/23",  # IETF protocol assignments (RFC 2928)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


class AddressRefusedError(httpx2.TransportError):
    """The host has an IP address that is not public."""


def refused_url(url: str) -> str | None:
    """Return why a URL must not be opened, as a short code, or None. Does not query DNS."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "bad_url"
    if parts.scheme not in {"http", "https"}:
        return "scheme"
    if not host or parts.username or parts.password:
        return "bad_url"
    if port is not None and port not in WEB_PORTS:
        return "port"
    if "." not in host.rstrip(".") and ":" not in host:
        return "private_address"  # a local name, or an IP address as one number
    # Other parsers drop a trailing dot, and read full-width digits as digits and a backslash as a slash.
    name = normalized_host(url)
    forms = (host.rstrip("."), (name or "").strip("[]"))
    if any(_is_private_literal(form) or form.endswith(_LOCAL_NAMES) for form in forms):
        return "private_address"
    return "bad_url" if name is None else None


def is_public_address(address: str) -> bool:
    """Whether an IP address is public. Also checks an IPv4 address inside an IPv6 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None and not is_public_address(str(inner)):
            return False
        if ip in _NAT64:
            return is_public_address(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip not in _GLOBAL_UNICAST:
            return False  # Python calls site-local and IPv4-compatible addresses global
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_THE_WEB)


class PinnedTransport(httpx2.AsyncBaseTransport):
    """Resolves a host name once, checks every address and connects to the first."""

    def __init__(self) -> None:
        # The pool knows connections only by IP address. A kept-alive one could serve another host name of that machine.
        self._inner = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        try:
            answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx2.ConnectError(f"{host} does not resolve") from error
        addresses = [str(answer[4][0]) for answer in answers]
        if not addresses or not all(is_public_address(address) for address in addresses):
            raise AddressRefusedError(f"{host} leads to an address that is not public")
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=addresses[0])
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _is_private_literal(host: str) -> bool:
    try:
        return not is_public_address(host)
    except ValueError:
        pass  # perhaps an address in an old form
    try:
        # Like resolvers, inet_aton accepts octal, hexadecimal and shortened addresses.
        return not is_public_address(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        return False
    except ValueError:  # a NUL, at which other parsers may stop
        return True
