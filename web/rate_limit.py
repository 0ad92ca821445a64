"""Rate limits shared by all workers: how often a site or a service is asked.

Every request to a site (one registrable domain) counts: robots.txt, each redirect, the page. A service (a model, a search
back end, an MCP server) has a number of requests per minute. When one asks for a pause (``Retry-After``), all workers pause.
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

RATE_LIMIT_TIMEOUT = "rate_limit_timeout"
"""The reason of a result for which nothing was asked: too many others were queueing."""
Sleep = Callable[[float], Awaitable[None]]

# Between the database's answer and the first byte sent; one request may be slower here than the next.
_SEND_DELAY_S = 0.05


class RateLimitTimeoutError(Exception):
    """The next free start is too far away, so nothing was asked. ``seconds_until_free``: seconds until that start."""

    def __init__(self, message: str, seconds_until_free: float = 0.0) -> None:
        super().__init__(message)
        self.seconds_until_free = seconds_until_free


@dataclass(frozen=True)
class RateLimit:
    """The rate limit of one site or service.

    Attributes:
        name: a site's registrable domain, or ``kind:service``, such as ``search:serper``.
        interval_s: seconds between two requests; 0 means only requested pauses count.
        wait_max_s: seconds a request may queue.
    """

    database: Database
    name: str
    interval_s: float
    wait_max_s: float
    sleep: Sleep = asyncio.sleep

    async def acquire(self) -> None:
        """Reserve a start and wait for it, without holding a connection.

        A cancelled request, or one whose turn a pause has moved too far, releases its reservation. A killed worker's
        reservation stays unused, which delays the others by one interval.

        Raises:
            RateLimitTimeoutError: that would take more than ``wait_max_s``.
        """
        interval_s, seconds_until_free = self.interval_s, 0.0
        async with self.database.transaction() as conn:
            wait_s = await rate_limits.reserve_start(conn, self.name, interval_s=interval_s, wait_max_s=self.wait_max_s)
            if wait_s is None:
                seconds_until_free = await rate_limits.seconds_until_free(conn, self.name)
        if wait_s is None:
            raise self._timeout(seconds_until_free)
        waited_s, total_max_s = 0.0, self.wait_max_s + interval_s  # one interval more if somebody took the start
        try:
            while wait_s > 0 and waited_s + wait_s <= total_max_s:
                await self.sleep(wait_s)
                waited_s += wait_s
                async with self.database.transaction() as conn:
                    wait_s = await rate_limits.start(conn, self.name, interval_s=interval_s)
        except asyncio.CancelledError:
            await self._release()
            raise
        if wait_s > 0:
            await self._release()
            raise self._timeout(wait_s)

    async def pause(self, for_s: float) -> None:
        """Let no worker ask for so many seconds, as requested by ``Retry-After``."""
        async with self.database.transaction() as conn:
            await rate_limits.pause(conn, self.name, for_s=for_s)
        log.info("pause_requested", name=self.name, seconds=for_s)

    def _timeout(self, seconds_until_free: float) -> RateLimitTimeoutError:
        log.info(RATE_LIMIT_TIMEOUT, name=self.name, wait_max_s=self.wait_max_s)
        return RateLimitTimeoutError(f"{self.name} is not free within {self.wait_max_s:g} s", seconds_until_free)

    async def _release(self) -> None:
        try:
            async with self.database.transaction() as conn:
                await rate_limits.release(conn, self.name, interval_s=self.interval_s)
        except psycopg.OperationalError as error:  # the cancellation matters more; the start stays unused
            log.warning("reservation_not_released", name=self.name, error=type(error).__name__)


@dataclass(frozen=True)
class HostRateLimit:
    """The rate limit of every site.

    Attributes:
        interval_s: seconds between two requests; 0 disables the limit, Crawl-delay included.
        crawl_delay_max_s: the longest Crawl-delay that is respected.
        wait_max_s: seconds a request may queue, so that one busy site does not use up an activity's timeout.
    """

    database: Database
    interval_s: float
    crawl_delay_max_s: float
    wait_max_s: float
    sleep: Sleep = asyncio.sleep

    async def acquire(self, url: str, crawl_delay_s: float | None = None) -> None:
        """Wait until a request to this address may start. Raises what ``RateLimit.acquire`` raises."""
        if self.interval_s > 0:
            interval_s = max(self.interval_s, min(crawl_delay_s or 0.0, self.crawl_delay_max_s)) + _SEND_DELAY_S
            await RateLimit(self.database, site_name(url), interval_s, self.wait_max_s, self.sleep).acquire()


def site_name(url: str) -> str:
    """What the rate limit of a site is stored under."""
    return registrable_domain(url) or normalized_host(url) or url


def seconds_per_request(per_minute: float) -> float:
    """The interval of evenly spaced requests; 0 without a limit."""
    return 60.0 / per_minute if per_minute > 0 else 0.0
