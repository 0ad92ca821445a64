"""The gateway: cached, stored as evidence, and down is not the same as empty."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.erasure import digest
from search.backend import SearchUnavailableError
from search.searxng import SearxngSearch
from settings import Settings
from store.database import Database
from store.erasure import forgotten
from store.tools import tool_results
from tests.http_server import Handler, HttpServer, Reply, Request, html, json_reply, serving
from web.fetch import WebClient
from web.gateway import ToolGateway, normalised_url

URL = "http://acme.example/"
HITS = json_reply({"results": [{"url": URL, "title": "Acme", "content": "Manages homes in Austin"}]})


@dataclass
class Wired:
    """A gateway between a database and one server that is both the web (as a proxy) and the search back end."""

    gateway: ToolGateway
    server: HttpServer

    @property
    def asked(self) -> list[str]:
        """What reached the network, robots.txt apart."""
        return [target for target in self.server.targets if not target.endswith("/robots.txt")]


@asynccontextmanager
async def wired(database: Database, settings: Settings, handler: Handler) -> AsyncIterator[Wired]:
    async with serving(handler) as server, httpx2.AsyncClient(timeout=2.0, trust_env=False) as http:
        web = WebClient(proxy=server.url, timeout_s=2.0, bytes_max=100_000)
        yield Wired(ToolGateway(database, web, SearxngSearch(http, server.url), settings), server)
        await web.close()


async def test_a_page_is_fetched_once_however_its_url_is_written(database: Database, settings: Settings) -> None:
    async with wired(database, settings, lambda request: html("<title>Acme</title><p>Homes</p>")) as world:
        first = await world.gateway.fetch_page(URL)
        for spelling in ("HTTP://ACME.example", "http://acme.example:80/#team", " http://acme.example./ "):
            assert await world.gateway.fetch_page(spelling) == first
        assert world.asked == [URL]
        assert (first.status, first.text, first.payload["title"]) == ("ok", "Homes", "Acme")
        assert await world.gateway.page_body(first) == "<title>Acme</title><p>Homes</p>"


async def test_a_redirect_target_is_not_fetched_again(database: Database, settings: Settings) -> None:
    def web(request: Request) -> Reply:
        if request.target.endswith("/robots.txt"):
            return Reply(404)
        if "old.example" in request.target:
            return Reply(301, b"", {"location": URL})
        return html("<title>Acme</title><p>Homes</p>")

    async with wired(database, settings, web) as world:
        by_redirect = await world.gateway.fetch_page("http://old.example/")
        assert await world.gateway.fetch_page(URL) == by_redirect
        assert world.asked == ["http://old.example/", URL]
        async with database.transaction() as conn:
            await conn.execute("UPDATE tool_results SET expires_at = now()")
        assert await world.gateway.fetch_page(URL) != by_redirect


async def test_the_cache_is_shared_between_workers(database: Database, settings: Settings) -> None:
    async with wired(database, settings, lambda request: html("<p>Homes</p>")) as one:
        first = await one.gateway.fetch_page(URL)
        async with wired(database, settings, lambda request: Reply(500)) as other:
            assert await other.gateway.fetch_page(URL) == first
            assert other.server.requests == []


async def test_a_cancelled_caller_does_not_cancel_the_others(database: Database, settings: Settings) -> None:
    slow = Reply(body=b"<p>Homes</p>", headers={"content-type": "text/html"}, after_s=0.2)
    async with wired(database, settings, lambda request: slow) as world:
        impatient = asyncio.create_task(world.gateway.fetch_page(URL))
        patient = asyncio.create_task(world.gateway.fetch_page(URL))
        await asyncio.sleep(0.05)
        impatient.cancel()
        assert (await patient).status == "ok"
        assert world.asked == [URL]


async def test_a_failure_is_cached_for_a_short_time(database: Database, settings: Settings) -> None:
    answers = iter([Reply(404), Reply(404), html("<p>back again</p>")])  # robots.txt, the page, the page
    async with wired(database, settings, lambda request: next(answers)) as world:
        failed = await world.gateway.fetch_page(URL)
        assert (failed.status, failed.reason) == ("error", "http_404")
        assert await world.gateway.fetch_page(URL) == failed
        assert world.asked == [URL]
        async with database.transaction() as conn:
            kept = await (
                await conn.execute(
                    "SELECT extract(epoch FROM expires_at - fetched_at)::int AS kept_s FROM tool_results"
                )
            ).fetchone()
            assert kept == {"kept_s": settings.failure_ttl_minutes * 60}
            await conn.execute("UPDATE tool_results SET expires_at = now()")
        again = await world.gateway.fetch_page(URL)
        assert (again.status, again.text) == ("ok", "back again")


async def test_an_empty_page_is_cached(database: Database, settings: Settings) -> None:
    async with wired(database, settings, lambda request: html("<body></body>")) as world:
        for _ in range(3):
            assert (await world.gateway.fetch_page(URL)).status == "empty"
        assert world.asked == [URL]


async def test_a_refused_address_reaches_no_network(database: Database, settings: Settings) -> None:
    async with wired(database, settings, lambda request: html("<p>secret</p>")) as world:
        result = await world.gateway.fetch_page("http://127.0.0.1/admin")
        assert (result.status, result.reason) == ("blocked", "private_address")
        assert world.server.requests == []


async def test_the_same_search_is_made_once_per_page(database: Database, settings: Settings) -> None:
    async with wired(database, settings, lambda request: HITS) as world:
        first = await world.gateway.search_web("property managers Austin")
        assert await world.gateway.search_web("  property   managers\nAustin ", page=1) == first
        assert len(world.asked) == 1
        await world.gateway.search_web("property managers Austin", page=2)
        assert len(world.asked) == 2
    assert first.payload["results"] == [{"url": URL, "title": "Acme", "snippet": "Manages homes in Austin"}]
    assert "Manages homes in Austin" in first.text


async def test_no_hits_is_empty(database: Database, settings: Settings) -> None:
    async with wired(database, settings, lambda request: json_reply({"results": []})) as world:
        result = await world.gateway.search_web("nobody")
    assert (result.status, result.reason) == ("empty", "no_results")


async def test_an_unavailable_back_end_is_not_cached(database: Database, settings: Settings) -> None:
    answers = iter([Reply(503), HITS])
    async with wired(database, settings, lambda request: next(answers)) as world:
        with pytest.raises(SearchUnavailableError, match="http_503"):
            await world.gateway.search_web("property managers")
        async with database.transaction() as conn:
            assert await (await conn.execute("SELECT * FROM tool_results")).fetchall() == []
        assert (await world.gateway.search_web("property managers")).status == "ok"


async def test_a_failed_search_fails_for_every_caller(database: Database, settings: Settings) -> None:
    async with wired(database, settings, lambda request: Reply(500, after_s=0.1)) as world:
        searches = (world.gateway.search_web("property managers") for _ in range(3))
        outcomes = await asyncio.gather(*searches, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [SearchUnavailableError] * 3
        assert len(world.asked) == 1


async def test_without_a_back_end_the_error_names_the_setting(database: Database, settings: Settings) -> None:
    web = WebClient(proxy=settings.web_proxy, timeout_s=1, bytes_max=1000)
    with pytest.raises(SearchUnavailableError, match="SEARXNG_URL"):
        await ToolGateway(database, web, None, settings).search_web("property managers")
    await web.close()


async def test_nul_characters_are_removed_before_storing(database: Database, settings: Settings) -> None:
    hit = {"url": URL, "title": "A\x00cme", "content": "in Aus\x00tin"}
    async with wired(database, settings, lambda request: json_reply({"results": [hit]})) as world:
        result = await world.gateway.search_web("property\x00managers")
        async with database.transaction() as conn:
            stored = await tool_results.get_results(conn, [result.result_id])
    assert stored[result.result_id].args["query"] == "property managers"
    assert "Acme\nin Austin" in result.text


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTP://Acme.Example", "http://acme.example/"),
        ("https://acme.example:443/a#b", "https://acme.example/a"),
        ("https://acme.example:80/", "https://acme.example:80/"),
        ("http://acme.example./x?b=2&a=1", "http://acme.example/x?b=2&a=1"),
        ("http://acme.example/CASE", "http://acme.example/CASE"),
        ("http://[2606:4700::1111]:80/x", "http://[2606:4700::1111]/x"),
        ("http://[2606:4700::1111]:8080/", "http://[2606:4700::1111]:8080/"),
        ("http://[", "http://["),
        ("http://[#", "http://[#"),
        ("http://acme.example:port/", "http://acme.example:port/"),
    ],
)
def test_a_url_is_cached_under_one_spelling(url: str, normal: str) -> None:
    assert normalised_url(url) == normal


@given(st.text() | st.from_regex(r"(https?|HTTP)://[\w.:\[\]-]{0,20}(:\d{1,5})?(/[^\s]{0,10})?", fullmatch=True))
def test_normalising_twice_is_normalising_once_and_never_fails(url: str) -> None:
    once = normalised_url(url)
    assert normalised_url(once) == once


async def test_hits_of_forgotten_companies_are_dropped(database: Database, settings: Settings) -> None:
    hits = [{"url": url, "title": url, "content": "Manages homes"} for url in (f"{URL}about", "http://birch.example/")]
    async with database.transaction() as conn:
        await forgotten.add(conn, [("domain", digest("domain", "acme.example"))])
    async with wired(database, settings, lambda request: json_reply({"results": hits})) as world:
        found = await world.gateway.search_web("homes austin")
    assert [hit["url"] for hit in found.payload["results"]] == ["http://birch.example/"]
    async with database.transaction() as conn:
        cursor = await conn.execute("SELECT count(*) AS kept FROM tool_results t WHERE t::text LIKE '%%acme%%'")
        assert (await cursor.fetchone() or {})["kept"] == 0


async def test_only_forgotten_companies_is_an_empty_result(database: Database, settings: Settings) -> None:
    async with database.transaction() as conn:
        await forgotten.add(conn, [("domain", digest("domain", "acme.example"))])
    async with wired(database, settings, lambda request: HITS) as world:
        assert (await world.gateway.search_web("homes austin")).status == "empty"
