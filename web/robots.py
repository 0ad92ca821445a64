"""Rules of robots.txt (RFC 9309), with Crawl-delay.

Each origin is asked once a day. Workers share the answer, and keep the parsed rules in memory for an hour.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from protego import Protego

from domain.storable_text import storable
from store.tools.tool_results import ResultStatus, ToolResult
from web.result_cache import ResultCache, new_result

USER_AGENT = "pm-pipeline"
SIZE_MAX = 512_000  # bytes; RFC 9309, 2.5 asks for at least 500 KiB
UNREACHABLE_TTL_S = 2.0  # a server error may pass soon; until then, other pages of the origin do not ask again
_STORED_TTL_S = 23 * 3600.0  # plus one hour in memory: at most 24 hours (RFC 9309, 2.4)
_MEMORY_TTL_S = 3600.0
_ORIGINS_MAX = 10_000

Answer = tuple[int, str]
"""HTTP status and text of a robots.txt."""
FetchText = Callable[[str], Awaitable[Answer]]


@dataclass(frozen=True)
class Rules:
    """The rules of one origin for our user agent. ``parsed`` is None if robots.txt is missing or unreachable."""

    parsed: Protego | None
    is_unreachable: bool = False
    crawl_delay_s: float | None = None

    def allow(self, url: str) -> bool:
        """Whether a page may be read. Always False if robots.txt gives a server error."""
        return not self.is_unreachable and (self.parsed is None or bool(self.parsed.can_fetch(url, USER_AGENT)))


class Robots:
    def __init__(self, fetch_text: FetchText, cache: ResultCache | None = None) -> None:
        """``fetch_text`` follows redirects. The caller of ``rules`` gets its errors."""
        self._fetch_text = fetch_text
        self._cache = cache
        self._fetches: dict[
            str, asyncio.Future[Answer]
        ] = {}  # by origin; only without a cache, which shares calls itself
        self._rules: dict[str, tuple[float, Rules]] = {}  # by origin, with their expiry time

    async def rules(self, url: str) -> Rules:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        expires_at, rules = self._rules.get(origin, (0.0, None))
        if rules is None or expires_at < time.monotonic():
            rules = parse_robots(*await self._answer(origin))
            if len(self._rules) >= _ORIGINS_MAX:
                del self._rules[next(iter(self._rules))]
            self._rules[origin] = (time.monotonic() + _ttl_s(rules.is_unreachable, _MEMORY_TTL_S), rules)
        return rules

    async def _answer(self, origin: str) -> Answer:
        if self._cache is None:
            fetch = self._fetches.get(origin)
            if fetch is None:
                fetch = self._fetches[origin] = asyncio.ensure_future(self._fetch_text(f"{origin}/robots.txt"))
                fetch.add_done_callback(lambda _: self._fetches.pop(origin))
            return await asyncio.shield(fetch)  # a cancelled caller leaves it to the others

        async def call() -> tuple[ToolResult, None]:
            return _result(origin, *await self._fetch_text(f"{origin}/robots.txt")), None

        result = await self._cache.get(
            "robots_txt", {"origin": origin}, call, lambda result: _ttl_s(result.status == "error", _STORED_TTL_S)
        )
        return int(result.payload["http_status"]), result.text


def parse_robots(status: int, text: str) -> Rules:
    """Return the rules of an answer (RFC 9309, 2.3.1). 4xx allows everything; 5xx and 429 allow nothing."""
    if _is_unreachable(status):
        return Rules(None, is_unreachable=True)
    if not 200 <= status < 300:
        return Rules(None)
    parsed = Protego.parse(text.removeprefix("\ufeff"))  # a byte order mark hides the first line
    return Rules(parsed, crawl_delay_s=parsed.crawl_delay(USER_AGENT))


def _is_unreachable(status: int) -> bool:
    return status >= 500 or status == 429  # search engines treat 429 like a server error


def _ttl_s(is_unreachable: bool, ttl_s: float) -> float:
    return UNREACHABLE_TTL_S if is_unreachable else ttl_s


def _result(origin: str, http_status: int, text: str) -> ToolResult:
    found = 200 <= http_status < 300
    status: ResultStatus = "ok" if found else "error" if _is_unreachable(http_status) else "empty"
    reason = None if found else f"http_{http_status}"
    return new_result(
        "robots_txt",
        {"origin": origin},
        status,
        reason,
        payload={"http_status": http_status},
        text=storable(text) if found else "",
    )
