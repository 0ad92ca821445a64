"""How often a site is asked: the starts of two fetches of one registrable domain are kept apart, by all workers together.

Every request counts: robots.txt, each hop of a redirect, the page. The interval is ``HOST_PACE_S``, or what the site's
robots.txt asks for (Crawl-delay) where that is more, up to ``CRAWL_DELAY_MAX_S``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from domain.hosts import normalized_host, registrable_domain
from store import host_pace
from store.database import Database

log = structlog.get_logger()

# Between the database's word and the first byte on the wire, which may take one longer than the one after it.
_LATENESS_S = 0.05


class PacedOutError(Exception):
    """The site's next free start is too far away: others are queueing for it. Nothing was asked for."""


@dataclass(frozen=True)
class HostPace:
    """The pace that all workers on one database keep.

    Attributes:
        interval_s: least seconds between two starts; 0 switches the pace off, Crawl-delay included.
        crawl_delay_max_s: a site that asks for more than this gets this much.
        wait_max_s: how long a fetch queues at most. It keeps one crowded site (a directory that every search task
            reads) from using up an activity's start-to-close time in ``workflows/policies.py``.
        sleep: waits; a test may look at what is waited for.
    """

    database: Database
    interval_s: float
    crawl_delay_max_s: float
    wait_max_s: float
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def wait_turn(self, url: str, crawl_delay_s: float | None = None) -> None:
        """Return when a request to this address may start.

        Holds no connection while it waits. A caller that is cancelled leaves its start unused, which costs the others
        one interval and never breaks the pace.

        Raises:
            PacedOutError: the turn would come after more than ``wait_max_s``.
        """
        if self.interval_s <= 0:
            return
        interval_s = max(self.interval_s, min(crawl_delay_s or 0.0, self.crawl_delay_max_s)) + _LATENESS_S
        site = registrable_domain(url) or normalized_host(url) or url
        async with self.database.transaction() as conn:
            wait_s = await host_pace.reserve_start(conn, site, interval_s=interval_s, wait_max_s=self.wait_max_s)
        if wait_s is None:
            log.info("paced_out", site=site, wait_max_s=self.wait_max_s)
            raise PacedOutError(f"{site} is not free within {self.wait_max_s:g} s")
        while wait_s > 0:
            await self.sleep(wait_s)
            async with self.database.transaction() as conn:
                wait_s = await host_pace.start(conn, site, interval_s=interval_s)
