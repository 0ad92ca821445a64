"""Fetches public web pages within limits on time, size and rate. Respects robots.txt and opens no private address."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urljoin

import httpx2

from domain.retry_after import retry_after_s
from domain.storable_text import storable
from settings import Settings
from store.database import Database
from store.erasure import forgotten
from store.tools.tool_results import ToolResult
from web.address_guard import AddressRefusedError, PinnedTransport, refused_url
from web.page_retry import REFUSED, ROBOTS_UNREACHABLE
from web.page_text import nested_too_deeply, render_page
from web.rate_limit import RATE_LIMIT_TIMEOUT, HostRateLimit, RateLimitTimeoutError
from web.result_cache import ResultCache
from web.robots import SIZE_MAX as ROBOTS_BYTES_MAX
from web.robots import USER_AGENT, Robots

_REDIRECTS_MAX = 5
_USER_AGENT = f"{USER_AGENT}/0.1 (business directory research; respects robots.txt)"
_META_CHARSET = re.compile(rb"""<meta[^>]+charset=["']?([\w-]+)""", re.IGNORECASE)
_HTML_TYPES = ("text/html", "application/xhtml+xml", "text/plain")
_HEADERS_KEPT = ("content-type", "etag", "last-modified", "server")
_HEADER_LENGTH_MAX = 500
_NO_SUCH_NAME = "error=dns_error"  # in Proxy-Status (RFC 9209, 2.3.2)

FORGOTTEN = "forgotten"
"""The ``reason`` of a page on a forgotten company's site."""
FetchStatus = Literal["ok", "empty", "blocked", "error"]
Acquire = Callable[[str, float | None], Awaitable[None]]
"""Waits until a URL may be requested. Takes the URL and its site's Crawl-delay in seconds (``HostRateLimit.acquire``)."""


@dataclass(frozen=True)
class FetchedPage:
    """The outcome of fetching a URL.

    Attributes:
        status: ``empty`` is a page without text; ``blocked`` is by the site or by us.
        reason: None if ``ok``, or a code such as ``http_404``, ``timeout``, ``private_address`` or ``rate_limit_timeout``.
        redirects: the addresses that redirected, ``url`` first.
        body: the decoded page. Empty unless ``ok``, and empty if ``not_modified``.
        not_modified: the server says that the cached page is still current (304).
        retry_after_s: the pause that the site asks for.
    """

    url: str
    status: FetchStatus
    reason: str | None
    final_url: str
    http_status: int | None
    redirects: tuple[str, ...]
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    not_modified: bool = False
    retry_after_s: float | None = None


class WebClient:
    """A pooled HTTP client, one per worker."""

    def __init__(
        self,
        *,
        proxy: str | None,
        timeout_s: float,
        bytes_max: int,
        acquire: Acquire | None = None,
        database: Database | None = None,
    ) -> None:
        """Without ``acquire`` there is no rate limit.

        Args:
            timeout_s: for a page and its redirects. Waiting for the rate limit or robots.txt does not count.
            database: shares robots.txt between workers, and blocks redirects to forgotten companies.
        """
        self._timeout_s = timeout_s
        self._bytes_max = bytes_max
        self._acquire = acquire
        self._database = database
        self._is_proxied = proxy is not None
        transport: httpx2.AsyncBaseTransport = httpx2.AsyncHTTPTransport(proxy=proxy) if proxy else PinnedTransport()
        self._client = httpx2.AsyncClient(
            transport=transport,
            timeout=timeout_s,
            headers={"User-Agent": _USER_AGENT, "Accept": "text/html,application/xhtml+xml"},
            follow_redirects=False,
            trust_env=False,
        )
        self._cache = ResultCache(database) if database is not None else None
        self._robots = Robots(self._fetch_robots, self._cache)

    async def close(self) -> None:
        """Close all connections. Call it when nobody is waiting for a page."""
        if self._cache is not None:
            await self._cache.close()
        await self._client.aclose()

    async def fetch(self, url: str, cached: ToolResult | None = None) -> FetchedPage:
        """Fetch one page, or find that ``cached`` is still current. Failures are returned, not raised."""
        hops: list[str] = []
        current = url
        try:
            async with asyncio.timeout(self._timeout_s) as timeout:
                while True:
                    refusal = refused_url(current)
                    if refusal is not None:
                        return _failed(url, "blocked", refusal, current, hops)
                    async with _paused(timeout):
                        if hops and await self._is_forgotten(current):
                            return _failed(url, "blocked", FORGOTTEN, current, hops)
                        rules = await self._robots.rules(current)  # has its own timeout
                    if not rules.allow(current):
                        reason = ROBOTS_UNREACHABLE if rules.is_unreachable else "robots"
                        return _failed(url, "blocked", reason, current, hops)
                    conditions = _conditions(cached, current)
                    response, body = await self._get(current, timeout, self._bytes_max, rules.crawl_delay_s, conditions)
                    location = _redirect_location(response)
                    if location is None:
                        is_too_large = len(body) > self._bytes_max
                        return _read(url, response, body, current, hops, bool(conditions), is_too_large)
                    hops.append(current)
                    if len(hops) > _REDIRECTS_MAX:
                        return _failed(url, "error", "too_many_redirects", current, hops)
                    current = urljoin(current, location)
        except (TimeoutError, httpx2.TimeoutException):
            return _failed(url, "error", "timeout", current, hops)
        except RateLimitTimeoutError:
            return _failed(url, "error", RATE_LIMIT_TIMEOUT, current, hops)
        except AddressRefusedError:
            return _failed(url, "blocked", "private_address", current, hops)
        except httpx2.DecodingError:
            return _failed(url, "error", "undecodable", current, hops)
        except (httpx2.TransportError, httpx2.InvalidURL, ValueError) as error:
            return _failed(url, "error", _unreachable_reason(error), current, hops)

    async def _is_forgotten(self, url: str) -> bool:
        if self._database is None:
            return False
        async with self._database.transaction() as conn:
            return await forgotten.is_site_forgotten(conn, url)

    async def _fetch_robots(self, url: str) -> tuple[int, str]:
        current = url
        async with asyncio.timeout(self._timeout_s) as timeout:
            for _ in range(_REDIRECTS_MAX + 1):
                if refused_url(current) is not None:
                    break
                response, body = await self._get(current, timeout, ROBOTS_BYTES_MAX)
                location = _redirect_location(response)
                if location is None:
                    return response.status_code, _decode(response, body[:ROBOTS_BYTES_MAX])
                current = urljoin(current, location)
        return 404, ""

    async def _get(
        self,
        url: str,
        timeout: asyncio.Timeout,  # noqa: ASYNC109  # shared by all redirects of a page
        bytes_max: int,
        crawl_delay_s: float | None = None,
        conditions: dict[str, str] | None = None,
    ) -> tuple[httpx2.Response, bytes]:
        """Wait for the rate limit and send one request. Reads up to ``bytes_max`` + 1 bytes of the body."""
        if self._acquire is not None:
            async with _paused(timeout):
                await self._acquire(url, crawl_delay_s)
        async with self._client.stream("GET", url, headers=conditions) as response:
            if self._is_proxied and _NO_SUCH_NAME in response.headers.get("proxy-status", ""):
                raise _NoSuchNameError(f"the proxy finds no host {httpx2.URL(url).host}")
            body = bytearray()
            if _redirect_location(response) is None:
                async for chunk in response.aiter_bytes():
                    body += chunk[: bytes_max + 1 - len(body)]
                    if len(body) > bytes_max:
                        break
            return response, bytes(body)


def make_web_client(database: Database, settings: Settings) -> WebClient:
    """Return a client that shares its limits with all workers. The caller closes it."""
    rate_limit = HostRateLimit(
        database,
        interval_s=settings.host_request_interval_s,
        crawl_delay_max_s=settings.crawl_delay_max_s,
        wait_max_s=settings.rate_limit_wait_max_s,
    )
    return WebClient(
        proxy=settings.web_proxy,
        timeout_s=settings.page_timeout_s,
        bytes_max=settings.page_bytes_max,
        acquire=rate_limit.acquire,
        database=database,
    )


class _NoSuchNameError(httpx2.TransportError):
    """The proxy says that a host does not exist."""


@asynccontextmanager
async def _paused(timeout: asyncio.Timeout) -> AsyncIterator[None]:  # noqa: ASYNC109
    """Stop the timeout while we wait."""
    loop = asyncio.get_running_loop()
    deadline = timeout.when()
    left_s = (deadline if deadline is not None else loop.time()) - loop.time()
    timeout.reschedule(None)
    yield
    timeout.reschedule(loop.time() + left_s)


def _redirect_location(response: httpx2.Response) -> str | None:
    return response.headers.get("location") if response.is_redirect else None


def _conditions(cached: ToolResult | None, url: str) -> dict[str, str]:
    """Return the headers that ask whether a cached page has changed (RFC 9110, 13.1)."""
    if cached is None or cached.final_url != url:
        return {}
    stored = cached.payload["headers"]
    validators = {"If-None-Match": stored.get("etag"), "If-Modified-Since": stored.get("last-modified")}
    # A header that was cut or has unprintable characters would never match.
    return {
        name: value
        for name, value in validators.items()
        if value and value.isascii() and value.isprintable() and len(value) < _HEADER_LENGTH_MAX
    }


def _read(
    url: str,
    response: httpx2.Response,
    content: bytes,
    final_url: str,
    hops: list[str],
    is_conditional: bool,
    is_too_large: bool,
) -> FetchedPage:
    http_status = response.status_code
    status: FetchStatus = "error"
    reason: str | None
    body = ""
    content_type = response.headers.get("content-type", "").lower()
    if http_status == 304 and is_conditional:
        status, reason = "ok", None
    elif http_status in {401, 403, 407, 429, 451}:
        status, reason = "blocked", f"http_{http_status}"
    elif http_status >= 400 or http_status < 200 or http_status == 304:
        reason = f"http_{http_status}"
    elif is_too_large:
        reason = "too_large"
    elif content_type and not content_type.startswith(_HTML_TYPES):
        reason = "not_html"
    elif nested_too_deeply(body := _decode(response, content)):
        reason = "nested_too_deeply"
    elif not render_page(body, final_url).text:
        status, reason = "empty", "no_text"
    else:
        status, reason = "ok", None
    return FetchedPage(
        url,
        status,
        reason,
        final_url,
        http_status,
        tuple(hops),
        body if status == "ok" else "",
        {
            name: storable(response.headers[name])[:_HEADER_LENGTH_MAX]
            for name in _HEADERS_KEPT
            if name in response.headers
        },
        not_modified=status == "ok" and http_status == 304,
        retry_after_s=retry_after_s(response.headers.get("retry-after"), datetime.now(UTC)),
    )


def _decode(response: httpx2.Response, body: bytes) -> str:
    sniffed = _META_CHARSET.search(body[:4096])
    for name in (response.charset_encoding, sniffed[1].decode("ascii") if sniffed else None):
        if name:
            try:
                return str(storable(body.decode(name, errors="replace")))
            except (LookupError, UnicodeError):  # unknown, or not a text encoding
                continue
    return str(storable(body.decode("utf-8", errors="replace")))


def _failed(url: str, status: FetchStatus, reason: str, final_url: str, hops: list[str]) -> FetchedPage:
    return FetchedPage(url, status, reason, final_url, None, tuple(hops), "")


def _unreachable_reason(error: Exception) -> str:
    if isinstance(error, _NoSuchNameError):
        return "unreachable_no_such_host"
    cause: BaseException | None = error
    while cause is not None:
        # EAI_AGAIN means that the name server is down. The host may exist.
        if isinstance(cause, socket.gaierror) and cause.errno != socket.EAI_AGAIN:
            return "unreachable_no_such_host"
        if isinstance(cause, ConnectionRefusedError):
            return REFUSED
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "unreachable_bad_certificate"
        cause = cause.__cause__ or cause.__context__  # httpx2 sets only one
    return f"unreachable_{type(error).__name__.lower()}"
