"""The rate limit of services, shared by all workers. Sleeps are recorded, not slept: the database skips that time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from mcp_client.config import HttpServer
from mcp_client.pool import open_pool
from search.backend import SearchUnavailableError
from search.searxng import SearxngSearch
from settings import Settings
from store.database import Database
from store.tools import rate_limits
from tests.http_server import Reply, Request, json_reply, serving
from tests.mcp_client.helpers import LIMITS
from web.fetch import WebClient
from web.gateway import ToolGateway
from web.rate_limit import RateLimit, RateLimitTimeoutError, seconds_per_request

NAME = "model:some"
PER_MINUTE = 0.06
INTERVAL_S = 60 / PER_MINUTE


@pytest.fixture
async def other_database(database_url: str) -> AsyncIterator[Database]:
    """The pool of a second worker."""
    other = Database(database_url, pool_max=15)
    await other.open()
    yield other
    await other.close()


async def _pass(database: Database, seconds: float) -> None:
    async with database.transaction() as conn:
        await conn.execute(
            "UPDATE rate_limits SET next_at = next_at - make_interval(secs => %(s)s),"
            " started_at = started_at - make_interval(secs => %(s)s), paused_until = paused_until - make_interval(secs => %(s)s)",
            {"s": seconds},
        )


Waits = list[int]


def _limit(database: Database, waits: Waits, per_minute: float = PER_MINUTE, wait_max_s: float = 1e6) -> RateLimit:
    async def sleep(wait_s: float) -> None:
        waits.append(round(wait_s / INTERVAL_S))
        await _pass(database, wait_s)

    return RateLimit(database, NAME, seconds_per_request(per_minute), wait_max_s, sleep)


async def _reserved(database: Database) -> int:
    async with database.transaction() as conn:
        wait_s = await rate_limits.reserve_start(conn, NAME, interval_s=INTERVAL_S, wait_max_s=1e6)
    assert wait_s is not None
    return round(wait_s / INTERVAL_S)


async def test_starts_of_two_workers_are_an_interval_apart(database: Database, other_database: Database) -> None:
    slots = await asyncio.gather(*(_reserved([database, other_database][number % 2]) for number in range(20)))
    assert sorted(slots) == list(range(20)), "each start is one request's"


async def test_a_late_start_moves_another_workers_start(database: Database, other_database: Database) -> None:
    assert [await _reserved(database), await _reserved(database), await _reserved(other_database)] == [0, 1, 2]
    await _pass(database, 2 * INTERVAL_S)  # the second one's worker was busy and wakes up with the third
    waits = []
    for pool in (database, other_database):
        async with pool.transaction() as conn:
            waits.append(round(await rate_limits.try_start(conn, NAME, interval_s=INTERVAL_S) / INTERVAL_S))
    assert waits == [0, 1]


async def test_cancelled_waits_do_not_block_others(database: Database, other_database: Database) -> None:
    asleep = asyncio.Semaphore(0)

    async def sleep(wait_s: float) -> None:
        asleep.release()
        await asyncio.Event().wait()

    limit = RateLimit(database, NAME, INTERVAL_S, 1e6, sleep)
    await _limit(database, []).acquire()
    queueing = [asyncio.create_task(limit.acquire()) for _ in range(8)]
    for _ in queueing:
        await asleep.acquire()
    for task in queueing:
        task.cancel()
    assert all(
        isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*queueing, return_exceptions=True)
    )
    waits: Waits = []
    await _limit(other_database, waits).acquire()
    assert waits == [1], "as if nobody had queued"


async def test_requests_behind_a_cancelled_one_stay_apart(database: Database) -> None:
    assert [await _reserved(database) for _ in range(3)] == [0, 1, 2]
    async with database.transaction() as conn:
        await rate_limits.release(conn, NAME, interval_s=INTERVAL_S)  # the second
    assert await _reserved(database) == 2, "two wait for the same start now"
    await _pass(database, 2 * INTERVAL_S)
    async with database.transaction() as conn:
        waits = [await rate_limits.try_start(conn, NAME, interval_s=INTERVAL_S) for _ in range(2)]
    assert [round(wait_s / INTERVAL_S) for wait_s in waits] == [0, 1]


async def test_a_pause_delays_waiting_and_new_requests(database: Database, other_database: Database) -> None:
    assert [await _reserved(database), await _reserved(database)] == [0, 1]
    await _limit(other_database, []).pause(10 * INTERVAL_S)
    await _limit(other_database, []).pause(3 * INTERVAL_S)  # a shorter one ends no longer one
    assert await _reserved(other_database) == 10
    await _pass(database, INTERVAL_S)
    async with database.transaction() as conn:
        waits = [await rate_limits.try_start(conn, NAME, interval_s=INTERVAL_S) for _ in range(2)]
    assert [round(wait_s / INTERVAL_S) for wait_s in waits] == [10, 11], "behind the one that came meanwhile"


async def test_without_a_limit_only_pauses_count(database: Database) -> None:
    waits: Waits = []
    limit = _limit(database, waits, per_minute=0)
    for _ in range(3):
        await limit.acquire()
    assert waits == []
    await limit.pause(2 * INTERVAL_S)
    for _ in range(3):
        await limit.acquire()
    assert [wait for wait in waits if wait] == [2], "once, but for the moments between those who waited"


async def test_after_a_pause_requests_start_one_by_one(database: Database, other_database: Database) -> None:
    await RateLimit(database, NAME, 0, 1e6).pause(100)
    waits = []
    for number in range(6):
        async with [database, other_database][number % 2].transaction() as conn:
            waits.append(await rate_limits.reserve_start(conn, NAME, interval_s=0, wait_max_s=1e6) or 0.0)
    gaps = [later - earlier for earlier, later in itertools.pairwise(waits)]
    assert waits[0] > 95
    assert all(gap > 0.1 for gap in gaps), gaps


async def test_repeated_pauses_end_in_a_timeout(database: Database) -> None:
    waits: list[float] = []

    async def sleep(wait_s: float) -> None:
        waits.append(wait_s)
        await _pass(database, wait_s)
        await limit.pause(300)

    limit = RateLimit(database, NAME, 0, 500, sleep)
    await limit.pause(300)
    with pytest.raises(RateLimitTimeoutError) as caught:
        await limit.acquire()
    assert len(waits) == 1, "a second pause would end after the time that it may wait"
    assert 290 < caught.value.seconds_until_free <= 301


async def test_a_full_queue_says_when_it_is_free(database: Database) -> None:
    for place in range(5):
        assert await _reserved(database) == place
    with pytest.raises(RateLimitTimeoutError) as caught:
        await _limit(database, [], wait_max_s=INTERVAL_S).acquire()
    assert round(caught.value.seconds_until_free / INTERVAL_S) == 5
    assert await _reserved(database) == 5, "it took no place in the queue"


@pytest.fixture
def hasty(settings: Settings) -> Settings:
    """A worker that queues for nothing."""
    return settings.model_copy(update={"rate_limit_wait_max_s": 0.0})


async def test_searches_of_all_workers_share_a_limit(
    database: Database, other_database: Database, demo_web: WebClient, hasty: Settings
) -> None:
    limited = hasty.model_copy(update={"search_requests_per_minute": PER_MINUTE})
    found = json_reply({"results": [{"url": "http://acme.example/", "title": "Acme", "content": ""}]})
    async with serving(lambda request: found) as server, httpx2.AsyncClient(trust_env=False) as http:
        one, other = (
            ToolGateway(pool, demo_web, SearxngSearch(http, server.url), limited) for pool in (database, other_database)
        )
        assert (await one.search_web("acme")).status == "ok"
        assert (await other.search_web("acme")).status == "ok"
        with pytest.raises(SearchUnavailableError, match="SEARCH_REQUESTS_PER_MINUTE") as caught:
            await other.search_web("bluebonnet")
        assert len(server.requests) == 1
    assert (caught.value.non_retryable, round((caught.value.retry_after_s or 0) / INTERVAL_S)) == (False, 1)


async def test_a_search_pause_holds_for_other_workers(
    database: Database, other_database: Database, demo_web: WebClient, hasty: Settings
) -> None:
    async with (
        serving(lambda request: Reply(429, headers={"retry-after": "100"})) as server,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        search = SearxngSearch(http, server.url)
        for pool, reason in ((database, "http_429"), (other_database, "rate_limit_timeout")):
            with pytest.raises(SearchUnavailableError) as caught:
                await ToolGateway(pool, demo_web, search, hasty).search_web("acme")
            assert caught.value.reason == reason
            assert 90 < (caught.value.retry_after_s or 0) <= 100
        assert len(server.requests) == 1


def _mcp_answer(request: Request) -> Reply:
    """A server with one tool that is asked too often."""
    if request.method != "POST":
        return Reply(405)
    asked = request.json()
    results: dict[str, Any] = {
        "initialize": {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "registry", "version": "1"},
        },
        "tools/list": {"tools": [{"name": "look", "inputSchema": {"type": "object"}}]},
    }
    if "id" not in asked:
        return Reply(202)
    if asked["method"] == "tools/call":
        return Reply(429, headers={"retry-after": "100"})
    head = {"jsonrpc": "2.0", "id": asked["id"]}
    if asked["method"] not in results:
        return json_reply({**head, "error": {"code": -32601, "message": "Method not found"}})
    return json_reply({**head, "result": results[asked["method"]]})


async def test_mcp_limits_and_pauses_hold_for_all_workers(
    database: Database, other_database: Database, demo_web: WebClient, hasty: Settings
) -> None:
    async with serving(_mcp_answer) as http:
        free, limited = (
            HttpServer(name=name, roles=("discovery",), url=http.url, requests_per_minute=per_minute)
            for name, per_minute in (("free", 0), ("limited", PER_MINUTE))
        )
        async with open_pool([free, limited], LIMITS) as pool:
            one, other = (ToolGateway(each, demo_web, None, hasty, pool) for each in (database, other_database))
            asked = await one.call_mcp("free", "look", {"what": "acme"})
            assert (asked.status, asked.reason) == ("error", "rate_limited")
            late = await other.call_mcp("free", "look", {"what": "bluebonnet"})
            assert (late.status, late.reason) == ("error", "rate_limit_timeout"), "it asked for a pause"
            assert sum(b"tools/call" in request.body for request in http.requests) == 1

            async with database.transaction() as conn:
                await conn.execute("UPDATE rate_limits SET paused_until = '-infinity'")
            assert (await other.call_mcp("free", "look", {"what": "acme"})).reason == "rate_limited", "asked again"
            await one.call_mcp("limited", "look", {"what": "acme"})
            async with database.transaction() as conn:
                await conn.execute("UPDATE rate_limits SET paused_until = '-infinity'")
            assert (await other.call_mcp("limited", "look", {"what": "bluebonnet"})).reason == "rate_limit_timeout", (
                "its limit"
            )
            assert sum(b"tools/call" in request.body for request in http.requests) == 3
