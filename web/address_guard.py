"""What may be opened at all: web schemes on web ports at public addresses, however they are written or resolved.

The guard looks at every hop: the scheme, an address literal in the URL, and, where this process resolves the name
itself, every address it resolves to; it then connects to just the address that it has checked, so that a second DNS
answer cannot differ. Through a proxy the name is resolved by the proxy, and the guard looks at the URL alone.
"""

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

import httpx2

from domain.company.hosts import normalized_host

WEB_PORTS = frozenset({80, 443, 8080, 8443})
# Names that only a local network answers for: RFC 6761, 6762, 8375, ICANN's reserved .internal; .localdomain by custom.
_LOCAL_NAMES = (".localhost", ".local", ".home.arpa", ".internal", ".localdomain")
# Python calls these global, at least in some of its versions, and none is anybody's web site.
_NOT_THE_WEB = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # each Azure machine's own platform (Microsoft, "What is IP address 168.63.129.16?")
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890); Oracle Cloud's metadata is at 192.0.0.192
        "192.88.99.0/24",  # 6to4 relays, withdrawn (RFC 7526)
        "2001::/23",  # IETF protocol assignments (RFC 2928)
        "3fff::/20",  # documentation (RFC 9637)
    )
)


class AddressRefusedError(httpx2.TransportError):
    """The URL leads to an address that is not on the public web."""


def refused_url(url: str) -> str | None:
    """Why a URL is not opened, as a short code, or None. Looks at the URL alone, not at DNS."""
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
        return "private_address"  # a bare name, or a whole address written as one number
    # Also as others read it: without a closing dot, with full-width digits as digits, a backslash as a slash.
    name = normalized_host(url)
    if any(_is_private_literal(form) for form in (host.rstrip("."), (name or "").strip("[]"))):
        return "private_address"
    if name is None:
        return "bad_url"
    return "private_address" if any(form.endswith(_LOCAL_NAMES) for form in (host.rstrip("."), name)) else None


def is_public_address(address: str) -> bool:
    """Whether an IP address is on the public internet, also behind an IPv6 form of an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None and not is_public_address(str(inner)):
            return False
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            return is_public_address(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip not in ipaddress.ip_network("2000::/3"):
            return False  # all global unicast there is; Python calls site-local and IPv4-compatible addresses global
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_THE_WEB)


class PinnedTransport(httpx2.AsyncBaseTransport):
    """Resolves the name once, checks every address and connects to a checked one."""

    def __init__(self) -> None:
        # The pool knows connections by address: kept alive, one would be used for another name of the same machine.
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
        pass  # not a plain address: perhaps one in an old form
    try:
        # inet_aton takes the forms that resolvers take: octal, hexadecimal and shortened addresses.
        return not is_public_address(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        return False
