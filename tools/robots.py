"""What a site's robots.txt lets us read (RFC 9309), parsed by protego. One look per origin and day."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from protego import Protego

USER_AGENT = "pm-pipeline"
_TTL_S = 24 * 3600.0  # RFC 9309, 2.4: not longer than 24 hours
_UNREACHABLE_TTL_S = 600.0  # a server error may pass soon
_ORIGINS_MAX = 10_000
_SIZE_MAX = 512_000  # RFC 9309, 2.5: at least 500 kibibytes are parsed

FetchText = Callable[[str], Awaitable[tuple[int, str]]]


@dataclass(frozen=True)
class _Rules:
    parsed: Protego | None  # None: everything is allowed
    allows_nothing: bool
    expires_at: float


class Robots:
    """Rules of the origins seen lately."""

    def __init__(self, fetch_text: FetchText) -> None:
        """``fetch_text`` gives HTTP status and body of an address, redirects followed; its errors reach the caller."""
        self._fetch_text = fetch_text
        self._rules: dict[str, _Rules] = {}

    async def allows(self, url: str) -> bool:
        """Whether a page may be read. An origin whose robots.txt answers with a server error allows nothing."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        rules = self._rules.get(origin)
        if rules is None or rules.expires_at < time.monotonic():
            rules = await self._look_up(origin)
            if len(self._rules) >= _ORIGINS_MAX:
                self._rules.pop(next(iter(self._rules)))
            self._rules[origin] = rules
        if rules.allows_nothing:
            return False
        return rules.parsed is None or bool(rules.parsed.can_fetch(url, USER_AGENT))

    async def _look_up(self, origin: str) -> _Rules:
        status, text = await self._fetch_text(f"{origin}/robots.txt")
        expires_at = time.monotonic() + _TTL_S
        if 200 <= status < 300:
            return _Rules(Protego.parse(text[:_SIZE_MAX]), allows_nothing=False, expires_at=expires_at)
        # RFC 9309, 2.3.1: "unavailable" (4xx) allows everything, "unreachable" (5xx) nothing.
        if status >= 500:
            return _Rules(None, allows_nothing=True, expires_at=time.monotonic() + _UNREACHABLE_TTL_S)
        return _Rules(None, allows_nothing=False, expires_at=expires_at)
