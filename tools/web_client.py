"""Fetching a page from the public web, safely: time, size and redirect limits, and never a private address.

The guard looks at every hop: the scheme, an address literal in the URL, and, where this process resolves the name
itself, every address it resolves to; it then connects to just the address that it has checked, so that a second DNS
answer cannot differ. Through a proxy the name is resolved by the proxy, and the guard looks at the URL alone.
"""

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urljoin, urlsplit

import httpx2

from domain.hosts import normalized_host
from tools.page_text import render_page
from tools.robots import USER_AGENT, Robots

_REDIRECTS_MAX = 5
_USER_AGENT = f"{USER_AGENT}/0.1 (business directory research; respects robots.txt)"
_META_CHARSET = re.compile(rb"""<meta[^>]+charset=["']?([\w-]+)""", re.IGNORECASE)
_HTML_TYPES = ("text/html", "application/xhtml+xml", "text/plain")

FetchStatus = Literal["ok", "empty", "blocked", "error"]


class AddressRefusedError(httpx2.TransportError):
    """The URL leads to an address that is not on the public web."""


@dataclass(frozen=True)
class FetchedPage:
    """What came of fetching a URL.

    Attributes:
        status: ``ok``; ``empty`` (an answer without text); ``blocked`` (refused to us, or by us); ``error``.
        reason: why not ``ok``, as a short code such as ``http_404``, ``timeout`` or ``private_address``.
        final_url: where redirects led; equal to ``url`` without any.
        redirects: every address on the way, the first included, the last not.
        body: the decoded page; empty unless ``ok``.
    """

    url: str
    status: FetchStatus
    reason: str | None
    final_url: str
    http_status: int | None
    redirects: tuple[str, ...]
    body: str


class WebClient:
    """One pooled HTTP client per worker."""

    def __init__(self, *, proxy: str | None, timeout_s: float, bytes_max: int) -> None:
        self._timeout_s = timeout_s
        self._bytes_max = bytes_max
        transport: httpx2.AsyncBaseTransport = httpx2.AsyncHTTPTransport(proxy=proxy) if proxy else _PinnedTransport()
        self._client = httpx2.AsyncClient(
            transport=transport,
            timeout=timeout_s,
            headers={"User-Agent": _USER_AGENT, "Accept": "text/html,application/xhtml+xml"},
            follow_redirects=False,
            trust_env=False,
        )
        self._robots = Robots(self._robots_text)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def fetch(self, url: str) -> FetchedPage:
        """Fetch one page within the limits. Failures of the other side are results, not exceptions."""
        hops: list[str] = []
        current = url
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    refusal = refused_url(current)
                    if refusal is not None:
                        return _failed(url, "blocked", refusal, current, hops)
                    if not await self._robots.allows(current):
                        return _failed(url, "blocked", "robots", current, hops)
                    answer = await self._get(current)
                    if answer.location is None:
                        return _read(url, answer, current, hops)
                    hops.append(current)
                    if len(hops) > _REDIRECTS_MAX:
                        return _failed(url, "error", "too_many_redirects", current, hops)
                    current = urljoin(current, answer.location)
        except (TimeoutError, httpx2.TimeoutException):
            return _failed(url, "error", "timeout", current, hops)
        except AddressRefusedError:
            return _failed(url, "blocked", "private_address", current, hops)
        except httpx2.DecodingError:
            return _failed(url, "error", "undecodable", current, hops)
        except (httpx2.TransportError, httpx2.InvalidURL, ValueError) as error:
            return _failed(url, "error", f"unreachable_{type(error).__name__.lower()}", current, hops)

    async def _robots_text(self, url: str) -> tuple[int, str]:
        """Status and text of a robots.txt; a redirect is followed within the same limits."""
        current = url
        for _ in range(_REDIRECTS_MAX):
            if refused_url(current) is not None:
                return 404, ""
            answer = await self._get(current)
            if answer.location is None:
                return answer.http_status, _decode(answer)
            current = urljoin(current, answer.location)
        return 404, ""

    async def _get(self, url: str) -> "_Answer":
        async with self._client.stream("GET", url) as response:
            location = response.headers.get("location") if response.is_redirect else None
            chunks: list[bytes] = []
            size = 0
            if location is None:
                async for chunk in response.aiter_bytes():
                    size += len(chunk)
                    if size > self._bytes_max:
                        break
                    chunks.append(chunk)
            return _Answer(
                http_status=response.status_code,
                content_type=response.headers.get("content-type", "").lower(),
                charset=response.charset_encoding,
                location=location,
                body=b"".join(chunks),
                too_large=size > self._bytes_max,
            )


@dataclass(frozen=True)
class _Answer:
    http_status: int
    content_type: str
    charset: str | None
    location: str | None
    body: bytes
    too_large: bool


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
    if port is not None and port not in {80, 443, 8080, 8443}:
        return "port"
    if "." not in host.rstrip(".") and ":" not in host:
        return "private_address"  # a bare name, or a whole address written as one number
    # Also as others read it: without a closing dot, with full-width digits as digits, a backslash as a slash.
    name = normalized_host(url)
    if any(_is_private_literal(form) for form in (host.rstrip("."), (name or "").strip("[]"))):
        return "private_address"
    if name is None:
        return "bad_url"
    return "private_address" if host.rstrip(".").endswith((".local", ".internal", ".localhost")) else None


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
    return ip.is_global and not ip.is_multicast


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


class _PinnedTransport(httpx2.AsyncBaseTransport):
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


def _read(url: str, answer: _Answer, final_url: str, hops: list[str]) -> FetchedPage:
    status = answer.http_status
    if status in {401, 403, 407, 429, 451}:
        return _failed(url, "blocked", f"http_{status}", final_url, hops, status)
    if status >= 400 or status < 200:
        return _failed(url, "error", f"http_{status}", final_url, hops, status)
    if answer.too_large:
        return _failed(url, "error", "too_large", final_url, hops, status)
    if answer.content_type and not answer.content_type.startswith(_HTML_TYPES):
        return _failed(url, "error", "not_html", final_url, hops, status)
    body = _decode(answer)
    if not render_page(body, final_url).text.strip():
        return _failed(url, "empty", "no_text", final_url, hops, status)
    return FetchedPage(url, "ok", None, final_url, status, tuple(hops), body)


def _decode(answer: _Answer) -> str:
    sniffed = _META_CHARSET.search(answer.body[:4096])
    for name in (answer.charset, sniffed[1].decode("ascii") if sniffed else None, "utf-8"):
        if name:
            try:
                return _storable(answer.body.decode(name, errors="replace"))
            except (LookupError, UnicodeError):  # no such encoding, or one that is not meant for pages
                continue
    return _storable(answer.body.decode("utf-8", errors="replace"))


def _storable(text: str) -> str:
    # Postgres takes neither NUL nor half a surrogate pair, and both mean nothing on a page.
    return text.replace("\x00", "").encode("utf-8", errors="replace").decode("utf-8")


def _failed(
    url: str, status: FetchStatus, reason: str, final_url: str, hops: list[str], http_status: int | None = None
) -> FetchedPage:
    return FetchedPage(url, status, reason, final_url, http_status, tuple(hops), "")
