"""What holds between workers: two that ask for the same thing at the same time cause one call, and none waits for the dead.

A worker is a gateway with a database pool of its own; the one that is killed is a process of its own.
"""

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

from search import SearchUnavailableError, SearxngSearch
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
class Gate:
    """A web and search that answer only when they are let, and count what they are asked for."""

    answer: Callable[[Request], Reply] = lambda request: html("<p>Homes</p>")
    let: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)

    async def handle(self, request: Request) -> Reply:
        if request.target.endswith("/robots.txt"):
            return Reply(404)
        self.asked.append(request.target)
        await self.let.wait()
        return self.answer(request)

    async def until_asked(self, times: int = 1) -> None:
        async with asyncio.timeout(30):
            while len(self.asked) < times:  # noqa: ASYNC110  # an event for each count would say no more
                await asyncio.sleep(0.01)


@pytest.fixture
async def gate() -> Gate:
    return Gate()


@pytest.fixture
async def server(gate: Gate) -> AsyncIterator[HttpServer]:
    async with serving(gate.handle) as server:
        yield server


@asynccontextmanager
async def workers(url: str, settings: Settings, server: HttpServer, count: int) -> AsyncIterator[list[ToolGateway]]:
    """Gateways that share nothing but the database; each has one single connection to it."""
    async with AsyncExitStack() as stack:
        gateways = []
        for _ in range(count):
            database = Database(url, pool_max=1)
            await database.open()
            stack.push_async_callback(database.close)
            web = WebClient(proxy=server.url, timeout_s=30, bytes_max=100_000)
            stack.push_async_callback(web.close)
            http = await stack.enter_async_context(httpx2.AsyncClient(timeout=30, trust_env=False))
            gateways.append(ToolGateway(database, web, SearxngSearch(http, server.url), settings))
            stack.push_async_callback(gateways[-1].close)
        yield gateways


async def rows(database: Database, query: str) -> list[dict[str, object]]:
    async with database.transaction() as conn:
        return await (await conn.execute(query.encode())).fetchall()


async def test_workers_share_one_fetch(
    database: Database, database_url: str, settings: Settings, gate: Gate, server: HttpServer
) -> None:
    async with workers(database_url, settings, server, 3) as gateways:
        wanted = [asyncio.create_task(gateway.fetch_page(URL)) for gateway in gateways for _ in range(5)]
        await gate.until_asked()
        await asyncio.sleep(0.3)  # time for the others to look, find the claim and ask nobody
        gate.let.set()
        results = await asyncio.gather(*wanted)
    assert gate.asked == [URL]
    assert len({result.result_id for result in results}) == 1
    assert results[0].text == "Homes"
    assert await rows(database, "SELECT * FROM tool_calls_in_flight") == []


async def test_workers_share_one_search(database_url: str, settings: Settings, gate: Gate, server: HttpServer) -> None:
    gate.answer = lambda request: HITS
    async with workers(database_url, settings, server, 2) as gateways:
        wanted = [asyncio.create_task(gateway.search_web("homes in Austin")) for gateway in gateways]
        await gate.until_asked()
        await asyncio.sleep(0.3)
        gate.let.set()
        one, other = await asyncio.gather(*wanted)
    assert one == other
    assert len(gate.asked) == 1


async def test_waiting_fetches_hold_no_database_connection(
    database_url: str, settings: Settings, gate: Gate, server: HttpServer
) -> None:
    urls = [f"http://acme{number}.example/" for number in range(8)]
    async with workers(database_url, settings, server, 1) as [gateway]:  # one connection for all eight
        wanted = [asyncio.create_task(gateway.fetch_page(url)) for url in urls]
        await gate.until_asked(len(urls))
        gate.let.set()
        assert {result.status for result in await asyncio.gather(*wanted)} == {"ok"}


async def test_a_killed_workers_call_is_made_by_another(
    database: Database, database_url: str, settings: Settings, gate: Gate, server: HttpServer
) -> None:
    command = (sys.executable, "-c", FETCH_AND_HANG, database_url, server.url, URL)
    killed = await asyncio.create_subprocess_exec(*command, cwd=PROJECT, stdout=DEVNULL)
    await gate.until_asked(1)
    killed.kill()
    await killed.wait()
    gate.let.set()
    async with workers(database_url, settings, server, 1) as [gateway]:
        wanted = asyncio.create_task(gateway.fetch_page(URL))
        await asyncio.sleep(0.3)
        assert gate.asked == [URL], "the claim stands until its time is up"
        left = await rows(
            database, "SELECT extract(epoch FROM expires_at - clock_timestamp()) AS s FROM tool_calls_in_flight"
        )
        assert 0 < float(str(left[0]["s"])) <= result_cache.CLAIM_S
        await rows(database, "UPDATE tool_calls_in_flight SET expires_at = now() RETURNING 1")
        assert (await wanted).text == "Homes"
    assert gate.asked == [URL, URL]
    assert await rows(database, "SELECT * FROM tool_calls_in_flight") == []


async def test_a_paid_search_may_finish_at_shutdown(
    database_url: str, settings: Settings, gate: Gate, server: HttpServer
) -> None:
    gate.answer = lambda request: HITS
    async with workers(database_url, settings, server, 1) as [gateway]:
        await given_up(gate, gateway.search_web("homes"))
        asyncio.get_running_loop().call_later(0.2, gate.let.set)
    async with workers(database_url, settings, server, 1) as [gateway]:
        assert (await gateway.search_web("homes")).status == "ok"
    assert len(gate.asked) == 1, "paid for once"


async def test_a_page_is_left_to_other_workers_at_shutdown(
    database: Database, database_url: str, settings: Settings, gate: Gate, server: HttpServer
) -> None:
    async with workers(database_url, settings, server, 1) as [gateway]:
        await given_up(gate, gateway.fetch_page(URL))
    assert await rows(database, "SELECT * FROM tool_calls_in_flight") == [], "nobody waits for a worker that is gone"
    read = await rows(database, "SELECT * FROM tool_results WHERE tool = 'fetch_page'")
    assert read == [], "that the worker has stopped says nothing about the site"
    gate.let.set()
    async with workers(database_url, settings, server, 1) as [gateway]:
        assert (await gateway.fetch_page(URL)).text == "Homes"


async def test_no_search_starts_at_shutdown(
    database: Database, database_url: str, settings: Settings, gate: Gate, server: HttpServer
) -> None:
    gate.answer = lambda request: HITS
    gate.let.set()
    slow = settings.model_copy(update={"search_requests_per_minute": 6})
    async with workers(database_url, slow, server, 2) as [queueing, waiting]:
        await queueing.search_web("first")  # the next turn comes ten seconds later
        gate.let.clear()
        steps = [asyncio.create_task(each.search_web("second")) for each in (queueing, waiting)]
        async with asyncio.timeout(30):
            while not await rows(database, "SELECT * FROM tool_calls_in_flight"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for step in steps:
            step.cancel()
        started = asyncio.get_running_loop().time()
        await asyncio.gather(queueing.close(), waiting.close())
        assert asyncio.get_running_loop().time() - started < 3, "there is nothing to wait for"
        with pytest.raises(result_cache.ClosedError):
            await waiting.search_web("third")
    assert len(gate.asked) == 1
    assert await rows(database, "SELECT * FROM tool_calls_in_flight") == []


async def test_robots_txt_is_left_to_other_workers_at_shutdown(database: Database, settings: Settings) -> None:
    async with serving(lambda request: Reply(after_s=60)) as silent:
        web = make_web_client(database, settings.model_copy(update={"web_proxy": silent.url, "page_timeout_s": 60.0}))
        gateway = ToolGateway(database, web, None, settings)
        step = asyncio.create_task(gateway.fetch_page(URL))
        async with asyncio.timeout(30):
            while not silent.requests:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        step.cancel()
        await gateway.close()
        await web.close()
    assert await rows(database, "SELECT * FROM tool_calls_in_flight") == []


async def test_no_claim_is_left_wherever_a_call_is_cancelled(database: Database) -> None:
    async def hang() -> tuple[ToolResult, None]:
        await asyncio.sleep(60)
        raise AssertionError("cancelled long before")

    for number in range(60):
        cache = result_cache.ResultCache(database)
        call = asyncio.create_task(cache.get("fetch_page", {"url": f"{number}"}, hang, lambda result: 60.0))
        await asyncio.sleep(number * 0.0002)
        await cache.close()
        with suppress(asyncio.CancelledError, result_cache.ClosedError):
            await call
    assert await rows(database, "SELECT * FROM tool_calls_in_flight") == []


async def test_a_failure_after_its_caller_was_cancelled_is_logged(
    database_url: str, settings: Settings, gate: Gate, server: HttpServer
) -> None:
    gate.answer = lambda request: Reply(503)
    with capture_logs() as logged:
        async with workers(database_url, settings, server, 1) as [gateway]:
            await given_up(gate, gateway.search_web("homes"))
            gate.let.set()
    [told] = [event for event in logged if event["event"] == "call_failed_without_its_caller"]
    assert (told["log_level"], told["tool"], told["error"]) == ("warning", "search_web", "SearchUnavailableError")


async def given_up(gate: Gate, call: Coroutine[Any, Any, ToolResult]) -> None:
    """Have a step begin a call, and cancel it while the other side thinks about the answer."""
    step = asyncio.create_task(call)
    await gate.until_asked()
    step.cancel()
    with suppress(asyncio.CancelledError):
        await step


async def test_a_claim_is_renewed_for_as_long_as_the_call_takes(
    database: Database,
    database_url: str,
    settings: Settings,
    gate: Gate,
    server: HttpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(result_cache, "_RENEWAL_S", 0.02)
    async with workers(database_url, settings, server, 1) as [gateway]:
        wanted = asyncio.create_task(gateway.fetch_page(URL))
        await gate.until_asked()
        ends = "SELECT expires_at FROM tool_calls_in_flight"
        first = await rows(database, ends)
        async with asyncio.timeout(30):
            while await rows(database, ends) == first:  # noqa: ASYNC110  # the database tells nobody
                await asyncio.sleep(0.02)
        gate.let.set()
        await wanted


async def test_a_claim_taken_over_is_not_released(
    database: Database, database_url: str, settings: Settings, gate: Gate, server: HttpServer
) -> None:
    async with workers(database_url, settings, server, 1) as [gateway]:
        wanted = asyncio.create_task(gateway.fetch_page(URL))
        await gate.until_asked()
        await rows(database, "UPDATE tool_calls_in_flight SET claim_id = gen_random_uuid() RETURNING 1")
        gate.let.set()
        assert (await wanted).status == "ok", "what was fetched is kept all the same"
    assert len(await rows(database, "SELECT * FROM tool_calls_in_flight")) == 1


async def test_a_failed_call_releases_its_claim_at_once(
    database: Database, database_url: str, settings: Settings, gate: Gate, server: HttpServer
) -> None:
    answers = iter([Reply(503), HITS])
    gate.answer = lambda request: next(answers)
    async with workers(database_url, settings, server, 2) as gateways:
        wanted = [asyncio.create_task(gateway.search_web("homes")) for gateway in gateways]
        await gate.until_asked()
        gate.let.set()
        outcomes = await asyncio.gather(*wanted, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == [SearchUnavailableError.__name__, "ToolResult"]
    assert await rows(database, "SELECT * FROM tool_calls_in_flight") == []


async def test_without_a_database_for_the_renewal_the_call_goes_on(
    database: Database,
    database_url: str,
    settings: Settings,
    gate: Gate,
    server: HttpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(result_cache, "_RENEWAL_S", 0.02)
    async with workers(database_url, settings, server, 1) as [gateway]:
        wanted = asyncio.create_task(gateway.fetch_page(URL))
        await gate.until_asked()
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        await rows(database, cut)
        await asyncio.sleep(0.2)  # several renewals, at least the first of them on a connection that is gone
        gate.let.set()
        assert (await wanted).text == "Homes"
