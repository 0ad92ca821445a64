"""Workers share calls. A worker is a gateway with its own database pool; the one that is killed is a process."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from search.backend import SearchUnavailableError
from search.searxng import SearxngSearch
from settings import Settings
from store.database import Database
from store.tools.tool_results import ToolResult
from tests.conftest import PROJECT
from tests.http_server import HttpServer, Reply, Request, html, json_reply, serving
from web import result_cache
from web.fetch import WebClient, make_web_client
from web.gateway import ToolGateway

URL = "http://acme.example/"
HITS = json_reply({"results": [{"url": URL, "title": "Acme", "content": "Manages homes in Austin"}]})
FETCH_AND_HANG = """
import asyncio, sys
from settings import Settings
from store.database import Database
from web.fetch import WebClient
from web.gateway import ToolGateway

async def main(database_url, proxy, url):
    database = Database(database_url)
    await database.open()
    web = WebClient(proxy=proxy, timeout_s=60, bytes_max=1000)
    await ToolGateway(database, web, None, Settings(_env_file=None)).fetch_page(url)

asyncio.run(main(*sys.argv[1:]))
"""


@dataclass
class Cluster:
    """Workers on one database, and a web and search that answer only when released, and record what they are asked for."""

    database: Database
    url: str
    settings: Settings
    server: HttpServer | None = None
    answer: Callable[[Request], Reply] = lambda request: html("<p>Homes</p>")
    released: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)

    async def handle(self, request: Request) -> Reply:
        if request.target.endswith("/robots.txt"):
            return Reply(404)
        self.asked.append(request.target)
        await self.released.wait()
        return self.answer(request)

    async def until_asked(self, times: int = 1) -> None:
        async with asyncio.timeout(30):
            while len(self.asked) < times:  # noqa: ASYNC110  # an event for each count would say no more
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def workers(self, count: int, settings: Settings | None = None) -> AsyncIterator[list[ToolGateway]]:
        """Gateways that share nothing but the database; each has a single connection to it."""
        assert self.server is not None
        async with AsyncExitStack() as stack:
            gateways = []
            for _ in range(count):
                database = Database(self.url, pool_max=1)
                await database.open()
                stack.push_async_callback(database.close)
                web = WebClient(proxy=self.server.url, timeout_s=30, bytes_max=100_000)
                stack.push_async_callback(web.close)
                http = await stack.enter_async_context(httpx2.AsyncClient(timeout=30, trust_env=False))
                search = SearxngSearch(http, self.server.url)
                gateways.append(ToolGateway(database, web, search, settings or self.settings))
                stack.push_async_callback(gateways[-1].close)
            yield gateways

    async def rows(self, query: str = "SELECT * FROM tool_calls_in_flight") -> list[dict[str, object]]:
        """By default the claims."""
        async with self.database.transaction() as conn:
            return await (await conn.execute(query.encode())).fetchall()


@pytest.fixture
async def cluster(database: Database, database_url: str, settings: Settings) -> AsyncIterator[Cluster]:
    cluster = Cluster(database, database_url, settings)
    async with serving(cluster.handle) as cluster.server:
        yield cluster


async def test_workers_share_one_fetch(cluster: Cluster) -> None:
    async with cluster.workers(3) as gateways:
        wanted = [asyncio.create_task(gateway.fetch_page(URL)) for gateway in gateways for _ in range(5)]
        await cluster.until_asked()
        await asyncio.sleep(0.3)  # time for the others to look, find the claim and ask nobody
        cluster.released.set()
        results = await asyncio.gather(*wanted)
    assert cluster.asked == [URL]
    assert len({result.result_id for result in results}) == 1
    assert results[0].text == "Homes"
    assert await cluster.rows() == []


async def test_workers_share_one_search(cluster: Cluster) -> None:
    cluster.answer = lambda request: HITS
    async with cluster.workers(2) as gateways:
        wanted = [asyncio.create_task(gateway.search_web("homes in Austin")) for gateway in gateways]
        await cluster.until_asked()
        await asyncio.sleep(0.3)
        cluster.released.set()
        one, other = await asyncio.gather(*wanted)
    assert one == other
    assert len(cluster.asked) == 1


async def test_waiting_fetches_hold_no_database_connection(cluster: Cluster) -> None:
    urls = [f"http://acme{number}.example/" for number in range(8)]
    async with cluster.workers(1) as [gateway]:  # one connection for all eight
        wanted = [asyncio.create_task(gateway.fetch_page(url)) for url in urls]
        await cluster.until_asked(len(urls))
        cluster.released.set()
        assert {result.status for result in await asyncio.gather(*wanted)} == {"ok"}


async def test_a_killed_workers_call_is_made_by_another(cluster: Cluster) -> None:
    assert cluster.server is not None
    command = (sys.executable, "-c", FETCH_AND_HANG, cluster.url, cluster.server.url, URL)
    killed = await asyncio.create_subprocess_exec(*command, cwd=PROJECT, stdout=DEVNULL)
    await cluster.until_asked(1)
    killed.kill()
    await killed.wait()
    cluster.released.set()
    async with cluster.workers(1) as [gateway]:
        wanted = asyncio.create_task(gateway.fetch_page(URL))
        await asyncio.sleep(0.3)
        assert cluster.asked == [URL], "the claim stands until its time is up"
        left = await cluster.rows(
            "SELECT extract(epoch FROM expires_at - clock_timestamp()) AS s FROM tool_calls_in_flight"
        )
        assert 0 < float(str(left[0]["s"])) <= result_cache.CLAIM_S
        await cluster.rows("UPDATE tool_calls_in_flight SET expires_at = now() RETURNING 1")
        assert (await wanted).text == "Homes"
    assert cluster.asked == [URL, URL]
    assert await cluster.rows() == []


async def test_a_paid_search_may_finish_at_shutdown(cluster: Cluster) -> None:
    cluster.answer = lambda request: HITS
    async with cluster.workers(1) as [gateway]:
        await abandon(cluster, gateway.search_web("homes"))
        asyncio.get_running_loop().call_later(0.2, cluster.released.set)
    async with cluster.workers(1) as [gateway]:
        assert (await gateway.search_web("homes")).status == "ok"
    assert len(cluster.asked) == 1, "paid for once"


async def test_a_page_is_left_to_other_workers_at_shutdown(cluster: Cluster) -> None:
    async with cluster.workers(1) as [gateway]:
        await abandon(cluster, gateway.fetch_page(URL))
    assert await cluster.rows() == [], "no other worker waits"
    read = await cluster.rows("SELECT * FROM tool_results WHERE tool = 'fetch_page'")
    assert read == [], "that the worker has stopped says nothing about the site"
    cluster.released.set()
    async with cluster.workers(1) as [gateway]:
        assert (await gateway.fetch_page(URL)).text == "Homes"


async def test_no_search_starts_at_shutdown(cluster: Cluster) -> None:
    cluster.answer = lambda request: HITS
    cluster.released.set()
    slow = cluster.settings.model_copy(update={"search_requests_per_minute": 6})
    async with cluster.workers(2, slow) as [queueing, waiting]:
        await queueing.search_web("first")  # the next turn comes ten seconds later
        cluster.released.clear()
        steps = [asyncio.create_task(each.search_web("second")) for each in (queueing, waiting)]
        async with asyncio.timeout(30):
            while not await cluster.rows():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for step in steps:
            step.cancel()
        started = asyncio.get_running_loop().time()
        await asyncio.gather(queueing.close(), waiting.close())
        assert asyncio.get_running_loop().time() - started < 3, "there is nothing to wait for"
        with pytest.raises(result_cache.ClosedError):
            await waiting.search_web("third")
    assert len(cluster.asked) == 1
    assert await cluster.rows() == []


async def test_robots_txt_is_left_to_other_workers_at_shutdown(cluster: Cluster) -> None:
    async with serving(lambda request: Reply(after_s=60)) as silent:
        web = make_web_client(
            cluster.database, cluster.settings.model_copy(update={"web_proxy": silent.url, "page_timeout_s": 60.0})
        )
        gateway = ToolGateway(cluster.database, web, None, cluster.settings)
        step = asyncio.create_task(gateway.fetch_page(URL))
        async with asyncio.timeout(30):
            while not silent.requests:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        step.cancel()
        await gateway.close()
        await web.close()
    assert await cluster.rows() == []


async def test_no_claim_is_left_wherever_a_call_is_cancelled(cluster: Cluster) -> None:
    async def hang() -> tuple[ToolResult, None]:
        await asyncio.sleep(60)
        raise AssertionError("cancelled long before")

    for number in range(60):
        cache = result_cache.ResultCache(cluster.database)
        call = asyncio.create_task(cache.get("fetch_page", {"url": f"{number}"}, hang, lambda result: 60.0))
        await asyncio.sleep(number * 0.0002)
        await cache.close()
        with suppress(asyncio.CancelledError, result_cache.ClosedError):
            await call
    assert await cluster.rows() == []


async def test_a_failure_after_its_caller_was_cancelled_is_logged(cluster: Cluster) -> None:
    cluster.answer = lambda request: Reply(503)
    with capture_logs() as logged:
        async with cluster.workers(1) as [gateway]:
            await abandon(cluster, gateway.search_web("homes"))
            cluster.released.set()
    [told] = [event for event in logged if event["event"] == "call_failed_without_its_caller"]
    assert (told["log_level"], told["tool"], told["error"]) == ("warning", "search_web", "SearchUnavailableError")


async def abandon(cluster: Cluster, call: Coroutine[Any, Any, ToolResult]) -> None:
    """Start a call, and cancel its caller before the answer."""
    caller = asyncio.create_task(call)
    await cluster.until_asked()
    caller.cancel()
    with suppress(asyncio.CancelledError):
        await caller


async def test_a_claim_is_renewed_for_as_long_as_the_call_takes(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_cache, "_RENEWAL_S", 0.02)
    async with cluster.workers(1) as [gateway]:
        wanted = asyncio.create_task(gateway.fetch_page(URL))
        await cluster.until_asked()
        ends = "SELECT expires_at FROM tool_calls_in_flight"
        first = await cluster.rows(ends)
        async with asyncio.timeout(30):
            while await cluster.rows(ends) == first:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        cluster.released.set()
        await wanted


async def test_a_claim_taken_over_is_not_released(cluster: Cluster) -> None:
    async with cluster.workers(1) as [gateway]:
        wanted = asyncio.create_task(gateway.fetch_page(URL))
        await cluster.until_asked()
        await cluster.rows("UPDATE tool_calls_in_flight SET claim_id = gen_random_uuid() RETURNING 1")
        cluster.released.set()
        assert (await wanted).status == "ok", "the result is still stored"
    assert len(await cluster.rows()) == 1


async def test_a_failed_call_releases_its_claim_at_once(cluster: Cluster) -> None:
    answers = iter([Reply(503), HITS])
    cluster.answer = lambda request: next(answers)
    async with cluster.workers(2) as gateways:
        wanted = [asyncio.create_task(gateway.search_web("homes")) for gateway in gateways]
        await cluster.until_asked()
        cluster.released.set()
        outcomes = await asyncio.gather(*wanted, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == [SearchUnavailableError.__name__, "ToolResult"]
    assert await cluster.rows() == []


async def test_without_a_database_for_the_renewal_the_call_goes_on(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_cache, "_RENEWAL_S", 0.02)
    async with cluster.workers(1) as [gateway]:
        wanted = asyncio.create_task(gateway.fetch_page(URL))
        await cluster.until_asked()
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        await cluster.rows(cut)
        await asyncio.sleep(0.2)  # several renewals, at least the first of them on a connection that is gone
        cluster.released.set()
        assert (await wanted).text == "Homes"
