"""Rules of robots.txt (RFC 9309, parsed by protego; Crawl-delay by custom).

Each origin is asked once a day. Workers share the answer through the result cache and keep the rules in memory for an hour.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from protego import Protego

from domain.storable_text import storable
from store.tools.tool_results import ResultStatus, ToolResult
from web.result_cache import ResultCache, new_result

USER_AGENT = "pm-pipeline"
SIZE_MAX = 512_000  # bytes; RFC 9309, 2.5: at least 500 kibibytes are parsed
UNREACHABLE_TTL_S = 2.0  # a server error may pass soon: other pages do not ask meanwhile, a later retry does
_STORED_TTL_S = 23 * 3600.0  # with the hour in memory at most 24 hours (RFC 9309, 2.4)
_MEMORY_TTL_S = 3600.0
_ORIGINS_MAX = 10_000

Answer = tuple[int, str]
"""HTTP status and text of a robots.txt."""
FetchText = Callable[[str], Awaitable[Answer]]


@dataclass(frozen=True)
class Rules:
    """What one origin's robots.txt says to us.

    Attributes:
        parsed: None allows everything.
        crawl_delay_s: seconds between two requests that it asks for.
    """

    parsed: Protego | None
    is_unreachable: bool = False
    crawl_delay_s: float | None = None

    def allow(self, url: str) -> bool:
        """Whether a page may be read. An origin whose robots.txt answers with a server error allows nothing."""
        return not self.is_unreachable and (self.parsed is None or bool(self.parsed.can_fetch(url, USER_AGENT)))


class Robots:
    """Rules by origin."""

    def __init__(self, fetch_text: FetchText, cache: ResultCache | None = None) -> None:
        """``fetch_text`` follows redirects; its errors reach the caller of ``rules`` and are not stored."""
        self._fetch_text = fetch_text
        self._cache = cache
        self._rules: dict[str, tuple[float, Rules]] = {}  # with the time when they expire

    async def rules(self, url: str) -> Rules:
        """The rules of the origin of an address."""
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
            return await self._fetch_text(f"{origin}/robots.txt")

        async def call() -> tuple[ToolResult, None]:
            return _result(origin, *await self._fetch_text(f"{origin}/robots.txt")), None

        result = await self._cache.get(
            "robots_txt", {"origin": origin}, call, lambda result: _ttl_s(result.status == "error", _STORED_TTL_S)
        )
        return int(result.payload["http_status"]), result.text


def parse_robots(status: int, text: str) -> Rules:
    """The rules of an answer (RFC 9309, 2.3.1): 4xx allows everything, 5xx nothing."""
    if _is_unreachable(status):
        return Rules(None, is_unreachable=True)
    if not 200 <= status < 300:
        return Rules(None)
    parsed = Protego.parse(text.removeprefix("\ufeff"))  # a byte order mark would hide the first line
    return Rules(parsed, crawl_delay_s=parsed.crawl_delay(USER_AGENT))


def _is_unreachable(status: int) -> bool:
    return status >= 500 or status == 429  # 429 too, as search engines read it


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
