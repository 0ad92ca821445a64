"""How often a site or a service is asked: the starts of two requests are kept apart, by all workers together.

Of a site (one registrable domain) every request counts: robots.txt, each hop of a redirect, the page. The interval is
``HOST_REQUEST_INTERVAL_S``, or what the site's robots.txt asks for (Crawl-delay) where that is more, up to ``CRAWL_DELAY_MAX_S``.
A service (a model, a search back end, an MCP server) has a number of requests per minute, and a pause that it asks for
(``Retry-After``) is kept by everybody.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psycopg
import structlog

from domain.company.hosts import normalized_host, registrable_domain
from store.database import Database
from store.tools import rate_limits

log = structlog.get_logger()

Sleep = Callable[[float], Awaitable[None]]
"""Waits so many seconds; a test may look at what is waited for."""

# Between the database's word and the first byte on the wire, which may take one longer than the one after it.
_LATENESS_S = 0.05


class RateLimitTimeoutError(Exception):
    """The next free start is too far away: others are queueing, or a pause was asked for. Nothing was asked for.

    Attributes:
        seconds_until_free: when that start comes, in seconds.
    """

    def __init__(self, message: str, seconds_until_free: float = 0.0) -> None:
        super().__init__(message)
        self.seconds_until_free = seconds_until_free


@dataclass(frozen=True)
class HostRateLimit:
    """The pace at which all workers on one database ask sites.

    Attributes:
        interval_s: least seconds between two starts; 0 switches the pace off, Crawl-delay included.
        crawl_delay_max_s: a site that asks for more than this gets this much.
        wait_max_s: how long a fetch queues at most. It keeps one crowded site (a directory that every search task
            reads) from using up an activity's start-to-close time in ``workflows/policies.py``.
    """

    database: Database
    interval_s: float
    crawl_delay_max_s: float
    wait_max_s: float
    sleep: Sleep = asyncio.sleep

    async def acquire(self, url: str, crawl_delay_s: float | None = None) -> None:
        """Return when a request to this address may start.

        Raises:
            RateLimitTimeoutError: the turn would come after more than ``wait_max_s``.
        """
        if self.interval_s <= 0:
            return
        interval_s = max(self.interval_s, min(crawl_delay_s or 0.0, self.crawl_delay_max_s)) + _LATENESS_S
        site = registrable_domain(url) or normalized_host(url) or url
        await _wait_turn(self.database, site, interval_s, self.wait_max_s, self.sleep)


@dataclass(frozen=True)
class ServiceRateLimit:
    """The pace at which all workers on one database ask one service.

    Attributes:
        name: ``kind:service``, such as ``search:serper``.
        per_minute: requests per minute, evenly apart; 0: only pauses that the service asks for are kept.
        wait_max_s: how long a request queues at most.
    """

    database: Database
    name: str
    per_minute: float
    wait_max_s: float
    sleep: Sleep = asyncio.sleep

    async def acquire(self) -> None:
        """Return when a request may start.

        Raises:
            RateLimitTimeoutError: the turn would come after more than ``wait_max_s``.
        """
        interval_s = 60.0 / self.per_minute if self.per_minute > 0 else 0.0
        await _wait_turn(self.database, self.name, interval_s, self.wait_max_s, self.sleep)

    async def pause(self, for_s: float) -> None:
        """Keep a pause that the service has asked for: no worker asks it for so many seconds."""
        async with self.database.transaction() as conn:
            await rate_limits.pause(conn, self.name, for_s=for_s)
        log.info("service_asks_for_pause", service=self.name, seconds=for_s)


async def _wait_turn(database: Database, name: str, interval_s: float, wait_max_s: float, sleep: Sleep) -> None:
    """Holds no connection while it waits. A caller that is cancelled, or to whom pauses that were asked for meanwhile leave no
    turn in time, gives its start back; one that is killed leaves it unused, which costs the others one interval and never
    breaks the pace."""
    async with database.transaction() as conn:
        wait_s = await rate_limits.reserve_start(conn, name, interval_s=interval_s, wait_max_s=wait_max_s)
        seconds_until_free = await rate_limits.seconds_until_free(conn, name) if wait_s is None else 0.0
    if wait_s is None:
        log.info("rate_limit_timeout", site=name, wait_max_s=wait_max_s)
        raise RateLimitTimeoutError(f"{name} is not free within {wait_max_s:g} s", seconds_until_free)
    waited_s, patience_s = 0.0, wait_max_s + interval_s  # whose start somebody took waits an interval more
    try:
        while wait_s > 0:
            if waited_s + wait_s > patience_s:
                await _give_back(database, name, interval_s)
                log.info("rate_limit_timeout", site=name, wait_max_s=wait_max_s)
                raise RateLimitTimeoutError(f"{name} is not free within {wait_max_s:g} s", wait_s)
            await sleep(wait_s)
            waited_s += wait_s
            async with database.transaction() as conn:
                wait_s = await rate_limits.start(conn, name, interval_s=interval_s)
    except asyncio.CancelledError:
        await _give_back(database, name, interval_s)
        raise


async def _give_back(database: Database, name: str, interval_s: float) -> None:
    try:
        async with database.transaction() as conn:
            await rate_limits.release(conn, name, interval_s=interval_s)
    except psycopg.OperationalError as error:  # the cancellation matters more; the start stays unused
        log.warning("start_not_given_back", site=name, error=type(error).__name__)
