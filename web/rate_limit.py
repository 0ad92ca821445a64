"""Rate limits for sites and services, shared by all workers.

A site is one registrable domain. Robots.txt, redirects and pages all count. When a site or service asks for a pause
(``Retry-After``), all workers pause.
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
"""The ``reason`` of a result whose request was never sent, because the queue was too long."""
Sleep = Callable[[float], Awaitable[None]]

# Added to the interval: the time between the database's answer and the first byte sent differs between requests.
_SEND_DELAY_S = 0.05


class RateLimitTimeoutError(Exception):
    """The queue is too long, so no request was sent. The next free start is ``seconds_until_free`` away."""

    def __init__(self, message: str, seconds_until_free: float = 0.0) -> None:
        super().__init__(message)
        self.seconds_until_free = seconds_until_free


@dataclass(frozen=True)
class RateLimit:
    """The rate limit of one site or service.

    Attributes:
        name: a site's registrable domain, or ``kind:service``, such as ``search:serper``.
        interval_s: seconds between two requests. With 0, only pauses apply.
        wait_max_s: the longest time a request may queue.
    """

    database: Database
    name: str
    interval_s: float
    wait_max_s: float
    sleep: Sleep = asyncio.sleep

    async def acquire(self) -> None:
        """Reserve a start and wait for it. Holds no database connection while it waits.

        If the caller is cancelled, the reservation is released. If the worker is killed, the others wait one extra interval.

        Raises:
            RateLimitTimeoutError: the wait would exceed ``wait_max_s``.
        """
        interval_s, seconds_until_free = self.interval_s, 0.0
        async with self.database.transaction() as conn:
            wait_s = await rate_limits.reserve_start(conn, self.name, interval_s=interval_s, wait_max_s=self.wait_max_s)
            if wait_s is None:
                seconds_until_free = await rate_limits.seconds_until_free(conn, self.name)
        if wait_s is None:
            raise self._timeout(seconds_until_free)
        waited_s, total_max_s = 0.0, self.wait_max_s + interval_s  # one extra interval if another took the start
        try:
            while wait_s > 0 and waited_s + wait_s <= total_max_s:
                await self.sleep(wait_s)
                waited_s += wait_s
                async with self.database.transaction() as conn:
                    wait_s = await rate_limits.try_start(conn, self.name, interval_s=interval_s)
        except asyncio.CancelledError:
            await self._release()
            raise
        if wait_s > 0:
            await self._release()
            raise self._timeout(wait_s)

    async def pause(self, for_s: float) -> None:
        """Stop all workers' requests for this many seconds."""
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
        except psycopg.OperationalError as error:  # the start stays unused
            log.warning("reservation_not_released", name=self.name, error=type(error).__name__)


@dataclass(frozen=True)
class HostRateLimit:
    """The rate limit of every site.

    Attributes:
        interval_s: seconds between two requests to a site. 0 disables the limit, and Crawl-delay with it.
        crawl_delay_max_s: the longest Crawl-delay that is respected.
        wait_max_s: the longest time a request may queue.
    """

    database: Database
    interval_s: float
    crawl_delay_max_s: float
    wait_max_s: float
    sleep: Sleep = asyncio.sleep

    async def acquire(self, url: str, crawl_delay_s: float | None = None) -> None:
        """Wait until a request to this URL may start. Raises RateLimitTimeoutError."""
        if self.interval_s > 0:
            interval_s = max(self.interval_s, min(crawl_delay_s or 0.0, self.crawl_delay_max_s)) + _SEND_DELAY_S
            await RateLimit(self.database, site_name(url), interval_s, self.wait_max_s, self.sleep).acquire()


def site_name(url: str) -> str:
    """Return the name of a site's rate limit."""
    return registrable_domain(url) or normalized_host(url) or url


def seconds_per_request(per_minute: float) -> float:
    """Return the interval between evenly spaced requests, or 0 without a limit."""
    return 60.0 / per_minute if per_minute > 0 else 0.0
