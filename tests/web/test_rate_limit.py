"""The rate limit of sites. Sleeps are recorded, not slept: the database skips that time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from settings import Settings
from store.database import Database
from tests.http_server import Handler, HttpServer, Reply, html, moved, serving
from web.fetch import WebClient, make_web_client
from web.gateway import ToolGateway
from web.rate_limit import HostRateLimit, RateLimitTimeoutError

INTERVAL_S = 1000.0
URL = "http://www.acme.example/"


@dataclass
class LimitedWorker:
    """One worker's rate limit, and what it waited for, in whole intervals."""

    limit: HostRateLimit
    intervals: list[int] = field(default_factory=list)


Worker = Callable[..., LimitedWorker]


@pytest.fixture
def worker(database: Database) -> Worker:
    def make(interval_s: float = INTERVAL_S, wait_max_s: float = 1e6) -> LimitedWorker:
        intervals: list[int] = []

        async def sleep(wait_s: float) -> None:
            intervals.append(round(wait_s / INTERVAL_S))
            async with database.transaction() as conn:  # for whom that time has passed
                await conn.execute(
                    "UPDATE rate_limits SET next_at = next_at - make_interval(secs => %(s)s),"
                    " started_at = started_at - make_interval(secs => %(s)s)",
                    {"s": wait_s},
                )

        limit = HostRateLimit(
            database, interval_s=interval_s, crawl_delay_max_s=5 * INTERVAL_S, wait_max_s=wait_max_s, sleep=sleep
        )
        return LimitedWorker(limit, intervals)

    return make


async def test_a_site_is_its_registrable_domain(worker: Worker) -> None:
    one = worker()
    for url in (URL, "https://portal.acme.example:8443/x", "http://ACME.example./"):
        await one.limit.acquire(url)
    assert one.intervals == [1, 1]
    for url in (
        "http://other.example/",
        "http://acme.wixsite.com/",
        "http://ajax.wixsite.com/",
        "http://93.184.216.34/",
    ):
        await one.limit.acquire(url)
    assert one.intervals == [1, 1], "others' sites are not waited for"


async def test_a_missed_start_is_not_made_up_for(worker: Worker, database: Database) -> None:
    one = worker()
    await one.limit.acquire(URL)
    async with database.transaction() as conn:
        await conn.execute(
            "UPDATE rate_limits SET next_at = next_at - interval '1 day', started_at = started_at - interval '1 day'"
        )
    await one.limit.acquire(URL)
    await one.limit.acquire(URL)
    assert one.intervals == [1]


@pytest.mark.parametrize(
    ("asked_s", "intervals"), [(None, 1), (0.5 * INTERVAL_S, 1), (3 * INTERVAL_S, 3), (99 * INTERVAL_S, 5)]
)
async def test_crawl_delay_is_respected_up_to_a_maximum(worker: Worker, asked_s: float | None, intervals: int) -> None:
    one = worker()
    await one.limit.acquire(URL, asked_s)
    await one.limit.acquire(URL, asked_s)
    assert one.intervals == [intervals]


async def test_an_interval_of_zero_disables_the_limit(worker: Worker, database: Database) -> None:
    one = worker(interval_s=0)
    for _ in range(3):
        await one.limit.acquire(URL, 7.0)
    assert one.intervals == []
    async with database.transaction() as conn:
        assert await (await conn.execute("SELECT * FROM rate_limits")).fetchall() == []


@asynccontextmanager
async def client(
    handler: Handler, acquire: Callable[[str, float | None], Awaitable[None]], timeout_s: float = 10.0
) -> AsyncIterator[tuple[WebClient, HttpServer]]:
    async with serving(handler) as server:
        web = WebClient(proxy=server.url, timeout_s=timeout_s, bytes_max=100_000, acquire=acquire)
        yield web, server
        await web.close()


async def test_robots_txt_and_redirects_count_too() -> None:
    turns: list[tuple[str, float | None]] = []

    async def acquire(url: str, crawl_delay_s: float | None) -> None:
        turns.append((url, crawl_delay_s))

    answers = {
        f"{URL}robots.txt": Reply(body=b"User-agent: *\nCrawl-delay: 7.5\n"),
        URL: moved("/home"),
        f"{URL}home": html("<p>Homes</p>"),
    }
    async with client(lambda request: answers[request.target], acquire) as (web, server):
        assert (await web.fetch(URL)).status == "ok"
        assert [url for url, _ in turns] == server.targets
    assert turns == [(f"{URL}robots.txt", None), (URL, 7.5), (f"{URL}home", 7.5)]


async def test_waiting_for_the_limit_does_not_count_as_timeout() -> None:
    async def acquire(url: str, crawl_delay_s: float | None) -> None:
        await asyncio.sleep(0 if url.endswith("/robots.txt") else 1.2)

    async with client(lambda request: html("<p>Homes</p>"), acquire, timeout_s=1.0) as (web, _):
        assert (await web.fetch(URL)).status == "ok"


async def test_a_rate_limit_timeout_is_not_cached(database: Database, settings: Settings) -> None:
    turns = iter([None, RateLimitTimeoutError("crowded"), None])  # robots.txt, the page, the page

    async def acquire(url: str, crawl_delay_s: float | None) -> None:
        error = next(turns)
        if error is not None:
            raise error

    async with client(lambda request: html("<p>Homes</p>"), acquire) as (web, server):
        gateway = ToolGateway(database, web, None, settings)
        crowded = await gateway.fetch_page(URL)
        assert (crowded.status, crowded.reason, server.targets) == ("error", "rate_limit_timeout", [f"{URL}robots.txt"])
        assert (await gateway.fetch_page(URL)).status == "ok"


async def test_the_settings_limit_what_a_worker_fetches(database: Database, settings: Settings) -> None:
    async with serving(lambda request: html("<p>Homes</p>")) as server:
        slow = settings.model_copy(
            update={"web_proxy": server.url, "host_request_interval_s": 3600.0, "rate_limit_wait_max_s": 0.0}
        )
        web = make_web_client(database, slow)
        page = await web.fetch(URL)
        await web.close()
    assert (page.reason, server.targets) == ("rate_limit_timeout", [f"{URL}robots.txt"]), (
        "the hour's one start is robots.txt's"
    )


def test_by_default_a_site_is_asked_once_a_second(plain_environment: None) -> None:
    assert Settings(_env_file=None).host_request_interval_s == 1.0
