"""Fetching a page from the public web, safely: time, size and redirect limits, robots.txt, pace, never a private address.

What may be opened at all is in ``web_guard.py``, how often a site is asked in ``pace.py``.
"""

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
from web.address_guard import AddressRefusedError, PinnedTransport, refused_url
from web.page_retry import REFUSED, ROBOTS_UNREACHABLE
from web.page_text import nested_too_deeply, render_page
from web.rate_limit import RateLimitTimeoutError
from web.robots import SIZE_MAX as ROBOTS_SIZE_MAX
from web.robots import USER_AGENT, Robots, SharedAnswers

_REDIRECTS_MAX = 5
_USER_AGENT = f"{USER_AGENT}/0.1 (business directory research; respects robots.txt)"
_META_CHARSET = re.compile(rb"""<meta[^>]+charset=["']?([\w-]+)""", re.IGNORECASE)
_HTML_TYPES = ("text/html", "application/xhtml+xml", "text/plain")
_HEADERS_KEPT = ("content-type", "etag", "last-modified", "server")
_HEADER_LENGTH_MAX = 500
_NO_SUCH_NAME = "error=dns_error"  # in Proxy-Status (RFC 9209, 2.3.2)

FetchStatus = Literal["ok", "empty", "blocked", "error"]
WaitTurn = Callable[[str, float | None], Awaitable[None]]
"""Waits until an address may be asked, given its site's Crawl-delay in seconds; see ``pace.HostRateLimit.acquire``."""
IsForgotten = Callable[[str], Awaitable[bool]]
"""Whether an address is on a site that is not to be asked any more; see ``store/erasure/forgotten.py``."""
FORGOTTEN = "forgotten"
"""The reason of a page that is on such a site."""


@dataclass(frozen=True)
class CachedPage:
    """A page as it was read before, to ask whether it has changed (RFC 9110, section 13.1)."""

    url: str
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True)
class FetchedPage:
    """What came of fetching a URL.

    Attributes:
        status: ``ok``; ``empty`` (an answer without text); ``blocked`` (refused to us, or by us); ``error``.
        reason: why not ``ok``, as a short code such as ``http_404``, ``timeout``, ``private_address`` or ``rate_limit_timeout``.
        final_url: where redirects led; equal to ``url`` without any.
        redirects: every address on the way, the first included, the last not.
        body: the decoded page; empty unless ``ok``, and empty when ``unchanged``.
        headers: those of the answer that say what was read, from when it is and what served it.
        unchanged: the page is still the known one (304); its body is wherever the known one's is.
        retry_after_s: the pause that the site asks for before it is asked again, in seconds.
    """

    url: str
    status: FetchStatus
    reason: str | None
    final_url: str
    http_status: int | None
    redirects: tuple[str, ...]
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    unchanged: bool = False
    retry_after_s: float | None = None


class WebClient:
    """One pooled HTTP client per worker."""

    def __init__(
        self,
        *,
        proxy: str | None,
        timeout_s: float,
        bytes_max: int,
        acquire: WaitTurn | None = None,
        shared_robots: SharedAnswers | None = None,
        is_forgotten: IsForgotten | None = None,
    ) -> None:
        """``timeout_s`` is what a page may take, redirects included; waiting for its turn and robots.txt come on top.

        Without ``acquire`` requests are not spaced out, without ``shared_robots`` each client reads robots.txt itself.
        ``is_forgotten`` is asked of each address that a redirect leads to, before it is followed.
        """
        self._timeout_s = timeout_s
        self._bytes_max = bytes_max
        self._wait_turn = acquire
        self._is_forgotten = is_forgotten
        self._is_proxied = proxy is not None
        transport: httpx2.AsyncBaseTransport = httpx2.AsyncHTTPTransport(proxy=proxy) if proxy else PinnedTransport()
        self._client = httpx2.AsyncClient(
            transport=transport,
            timeout=timeout_s,
            headers={"User-Agent": _USER_AGENT, "Accept": "text/html,application/xhtml+xml"},
            follow_redirects=False,
            trust_env=False,
        )
        self._robots = Robots(self._robots_text, shared_robots)

    async def close(self) -> None:
        """Close all connections. Nobody waits for a page any more."""
        await self._robots.close()
        await self._client.aclose()

    async def fetch(self, url: str) -> FetchedPage:
        """Fetch one page within the limits. Failures of the other side are results, not exceptions."""
        return await self._fetch(url, None)

    async def refetch(self, url: str, known: CachedPage) -> FetchedPage:
        """Fetch a page that was read before; where redirects still lead to it, only if it has changed."""
        return await self._fetch(url, known)

    async def _fetch(self, url: str, known: CachedPage | None) -> FetchedPage:
        hops: list[str] = []
        current = url
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                while True:
                    refusal = refused_url(current)
                    if refusal is not None:
                        return _failed(url, "blocked", refusal, current, hops)
                    async with _not_counted(limit):
                        if hops and self._is_forgotten is not None and await self._is_forgotten(current):
                            return _failed(url, "blocked", FORGOTTEN, current, hops)
                    async with _not_counted(limit):  # has the same time for itself
                        rules = await self._robots.rules(current)
                    if not rules.allow(current):
                        reason = ROBOTS_UNREACHABLE if rules.allows_nothing else "robots"
                        return _failed(url, "blocked", reason, current, hops)
                    conditions = _conditions(known, current)
                    answer = await self._get(current, limit, self._bytes_max, rules.crawl_delay_s, conditions)
                    if answer.location is None:
                        return _read(url, answer, current, hops, asked_if_changed=bool(conditions))
                    hops.append(current)
                    if len(hops) > _REDIRECTS_MAX:
                        return _failed(url, "error", "too_many_redirects", current, hops)
                    current = urljoin(current, answer.location)
        except (TimeoutError, httpx2.TimeoutException):
            return _failed(url, "error", "timeout", current, hops)
        except RateLimitTimeoutError:
            return _failed(url, "error", "rate_limit_timeout", current, hops)
        except AddressRefusedError:
            return _failed(url, "blocked", "private_address", current, hops)
        except httpx2.DecodingError:
            return _failed(url, "error", "undecodable", current, hops)
        except (httpx2.TransportError, httpx2.InvalidURL, ValueError) as error:
            return _failed(url, "error", _unreachable(error), current, hops)

    async def _robots_text(self, url: str) -> tuple[int, str]:
        """Status and text of a robots.txt; a redirect is followed within the same limits."""
        current = url
        async with asyncio.timeout(self._timeout_s) as limit:
            for _ in range(_REDIRECTS_MAX + 1):
                if refused_url(current) is not None:
                    return 404, ""
                answer = await self._get(current, limit, ROBOTS_SIZE_MAX)
                if answer.location is None:
                    return answer.http_status, _decode(answer)
                current = urljoin(current, answer.location)
        return 404, ""

    async def _get(
        self,
        url: str,
        limit: asyncio.Timeout,
        bytes_max: int,
        crawl_delay_s: float | None = None,
        conditions: dict[str, str] | None = None,
    ) -> "_Answer":
        """One request when its turn has come; of a body above the limit, what is within it."""
        if self._wait_turn is not None:
            async with _not_counted(limit):
                await self._wait_turn(url, crawl_delay_s)
        async with self._client.stream("GET", url, headers=conditions) as response:
            if self._is_proxied and _NO_SUCH_NAME in response.headers.get("proxy-status", ""):
                raise _NoSuchNameError(f"the proxy finds no host {httpx2.URL(url).host}")
            location = response.headers.get("location") if response.is_redirect else None
            chunks: list[bytes] = []
            size = 0
            if location is None:
                async for chunk in response.aiter_bytes():
                    chunks.append(chunk[: bytes_max - size])
                    size += len(chunk)
                    if size > bytes_max:
                        break
            return _Answer(
                http_status=response.status_code,
                headers={
                    name: storable(response.headers[name])[:_HEADER_LENGTH_MAX]
                    for name in _HEADERS_KEPT
                    if name in response.headers
                },
                retry_after_s=retry_after_s(response.headers.get("retry-after"), datetime.now(UTC)),
                charset=response.charset_encoding,
                location=location,
                body=b"".join(chunks),
                too_large=size > bytes_max,
            )


class _NoSuchNameError(httpx2.TransportError):
    """The proxy says that a name does not exist, as our own resolver would."""


@asynccontextmanager
async def _not_counted(limit: asyncio.Timeout) -> AsyncIterator[None]:
    """What we wait for by ourselves does not use up the time that a server has for its answer."""
    loop = asyncio.get_running_loop()
    deadline = limit.when()
    left_s = (deadline if deadline is not None else loop.time()) - loop.time()
    limit.reschedule(None)
    yield
    limit.reschedule(loop.time() + left_s)


def _conditions(known: CachedPage | None, url: str) -> dict[str, str]:
    if known is None or known.url != url:
        return {}
    wanted = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    # What was cut, or cannot go back over the wire as it came, would never match.
    return {
        name: value
        for name, value in wanted.items()
        if value and value.isascii() and value.isprintable() and len(value) < _HEADER_LENGTH_MAX
    }


@dataclass(frozen=True)
class _Answer:
    http_status: int
    headers: dict[str, str]
    retry_after_s: float | None
    charset: str | None
    location: str | None
    body: bytes
    too_large: bool


def _read(url: str, answer: _Answer, final_url: str, hops: list[str], *, asked_if_changed: bool) -> FetchedPage:
    status = answer.http_status
    if status == 304 and asked_if_changed:
        return FetchedPage(url, "ok", None, final_url, status, tuple(hops), "", answer.headers, unchanged=True)
    if status in {401, 403, 407, 429, 451}:
        return _failed(url, "blocked", f"http_{status}", final_url, hops, answer)
    if status >= 400 or status < 200 or status == 304:
        return _failed(url, "error", f"http_{status}", final_url, hops, answer)
    if answer.too_large:
        return _failed(url, "error", "too_large", final_url, hops, answer)
    content_type = answer.headers.get("content-type", "").lower()
    if content_type and not content_type.startswith(_HTML_TYPES):
        return _failed(url, "error", "not_html", final_url, hops, answer)
    body = _decode(answer)
    if nested_too_deeply(body):
        return _failed(url, "error", "nested_too_deeply", final_url, hops, answer)
    if not render_page(body, final_url).text.strip():
        return _failed(url, "empty", "no_text", final_url, hops, answer)
    return FetchedPage(url, "ok", None, final_url, status, tuple(hops), body, answer.headers)


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
    url: str, status: FetchStatus, reason: str, final_url: str, hops: list[str], answer: _Answer | None = None
) -> FetchedPage:
    if answer is None:
        return FetchedPage(url, status, reason, final_url, None, tuple(hops), "")
    said, pause_s = answer.headers, answer.retry_after_s
    return FetchedPage(url, status, reason, final_url, answer.http_status, tuple(hops), "", said, retry_after_s=pause_s)


def _unreachable(error: Exception) -> str:
    """Why nothing was got at all: by the cause where that says more than the client's own error."""
    cause: BaseException | None = error
    if isinstance(error, _NoSuchNameError):
        return "unreachable_no_such_host"
    while cause is not None:
        # A name server that is away (EAI_AGAIN) says nothing about the name.
        if isinstance(cause, socket.gaierror) and cause.errno != socket.EAI_AGAIN:
            return "unreachable_no_such_host"
        if isinstance(cause, ConnectionRefusedError):
            return REFUSED
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "unreachable_bad_certificate"
        cause = cause.__cause__ or cause.__context__  # the client gives some only as the latter
    return f"unreachable_{type(error).__name__.lower()}"
