"""What a site's robots.txt lets us read, and how often (RFC 9309; Crawl-delay by custom), parsed by protego.

One look per origin and day: kept in the store for all workers where one is given, and for an hour in memory.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from protego import Protego

from web.deduplication import Deduplicator

log = structlog.get_logger()

USER_AGENT = "pm-pipeline"
SIZE_MAX = 512_000  # bytes; RFC 9309, 2.5: at least 500 kibibytes are parsed
STORED_TTL_S = 23 * 3600.0  # RFC 9309, 2.4: not longer than 24 hours, the hour in memory included
_MEMORY_TTL_S = 3600.0
UNREACHABLE_TTL_S = 2.0  # a server error may pass soon: so that not every page beside asks, and the next try does
_ORIGINS_MAX = 10_000

Answer = tuple[int, str]
"""HTTP status and text of a robots.txt."""
FetchText = Callable[[str], Awaitable[Answer]]
SharedAnswers = Callable[[str, Callable[[], Awaitable[Answer]]], Awaitable[Answer]]
"""Gives the answer that all workers know for an origin; there is a function to fetch it if none does."""


@dataclass(frozen=True)
class Rules:
    """What one origin's robots.txt says to us.

    Attributes:
        crawl_delay_s: least seconds between two requests that it asks for, if it does.
    """

    parsed: Protego | None  # None: everything is allowed
    allows_nothing: bool = False
    crawl_delay_s: float | None = None

    def allow(self, url: str) -> bool:
        """Whether a page may be read. An origin whose robots.txt answers with a server error allows nothing."""
        if self.allows_nothing:
            return False
        return self.parsed is None or bool(self.parsed.can_fetch(url, USER_AGENT))


class Robots:
    """Rules of the origins seen lately."""

    def __init__(self, fetch_text: FetchText, shared: SharedAnswers | None = None) -> None:
        """``fetch_text`` gives HTTP status and text of an address, redirects followed; its errors reach the caller."""
        self._fetch_text = fetch_text
        self._shared = shared
        self._known: dict[str, tuple[float, Rules]] = {}  # with the time until which they hold
        self._looking: Deduplicator[Rules] = Deduplicator()

    async def close(self) -> None:
        """Leave looks that are under way, and that nobody waits for any more, to others."""
        await self._looking.close()

    async def rules(self, url: str) -> Rules:
        """The rules of the origin of an address."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        holds_until, rules = self._known.get(origin, (0.0, None))
        if rules is None or holds_until < time.monotonic():
            return await self._looking.run(origin, lambda: self._look_up(origin))
        return rules

    async def _look_up(self, origin: str) -> Rules:
        async def fetch() -> Answer:
            return await self._fetch_text(f"{origin}/robots.txt")

        status, text = await (self._shared(origin, fetch) if self._shared is not None else fetch())
        ttl_s = UNREACHABLE_TTL_S if is_unreachable(status) else _MEMORY_TTL_S
        rules = _rules(status, text)
        if len(self._known) >= _ORIGINS_MAX:
            self._known.pop(next(iter(self._known)))
        self._known[origin] = (time.monotonic() + ttl_s, rules)
        return rules


def is_unreachable(status: int) -> bool:
    """Whether an HTTP status leaves open what the robots.txt says (RFC 9309, 2.3.1.4). 429 too, as search engines read it."""
    return status >= 500 or status == 429


def _rules(status: int, text: str) -> Rules:
    # RFC 9309, 2.3.1: "unavailable" (4xx) allows everything, "unreachable" (5xx) nothing.
    if is_unreachable(status):
        return Rules(None, allows_nothing=True)
    if not 200 <= status < 300:
        return Rules(None)
    parsed = Protego.parse(text.removeprefix("\ufeff"))  # a byte order mark would hide the first line
    return Rules(parsed, crawl_delay_s=parsed.crawl_delay(USER_AGENT))
