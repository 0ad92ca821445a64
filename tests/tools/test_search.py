"""The search client: what SearXNG answers, and that anything else is an error with a reason, never an empty list (LESSONS F60, F61)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.conftest import DemoServers
from tests.http_server import Handler, Reply, json_reply, serving
from tools.search import SearchHit, SearchUnavailableError, SearxngSearch


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=0.5, trust_env=False) as client:
        yield client


async def _problem(http: httpx2.AsyncClient, handler: Handler) -> str:
    async with serving(handler) as server:
        with pytest.raises(SearchUnavailableError) as caught:
            await SearxngSearch(http, server.url).search("property managers", 1)
    return caught.value.reason


async def test_the_demo_search_answers_in_pages_that_do_not_repeat(demo: DemoServers, http: httpx2.AsyncClient) -> None:
    search = SearxngSearch(http, demo.searxng_url)
    pages = [await search.search("property management companies in Texas", page) for page in (1, 2)]
    urls = [hit.url for page in pages for hit in page]
    assert len(urls) == len(set(urls)) > 10
    assert all(hit.title and hit.url.startswith("http://") for page in pages for hit in page)


async def test_far_beyond_the_last_page_there_is_nothing(demo: DemoServers, http: httpx2.AsyncClient) -> None:
    assert await SearxngSearch(http, demo.searxng_url).search("property management", 5000) == []


async def test_a_closing_slash_in_the_setting_makes_no_difference(http: httpx2.AsyncClient) -> None:
    async with serving(lambda request: json_reply({"results": []})) as server:
        await SearxngSearch(http, f"{server.url}/").search("a & b", 3)
        assert server.targets == ["/search?q=a+%26+b&format=json&pageno=3"]


async def test_what_a_hit_lacks_is_empty_and_what_we_do_not_know_is_ignored(http: httpx2.AsyncClient) -> None:
    answer = {"results": [{"url": "http://a.example/", "engine": "x", "score": 1.5}], "answers": []}
    async with serving(lambda request: json_reply(answer)) as server:
        assert await SearxngSearch(http, server.url).search("q", 1) == [SearchHit(url="http://a.example/")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Too many requests</html>",
        b"null",
        b"[]",
        b"{}",
        b'{"results": null}',
        b'{"results": {"url": "x"}}',
        b'{"results": ["http://a.example/"]}',
        b'{"results": [{"title": "no address"}]}',
        b'{"results": [{"url": 7}]}',
        b'{"results": [{"url": "\\ud800"}]}',
        b'{"results": [',
        b"\xff\xfe\x00",
    ],
)
async def test_a_200_with_nonsense_is_a_back_end_that_is_down(http: httpx2.AsyncClient, body: bytes) -> None:
    assert await _problem(http, lambda request: Reply(body=body)) == "not_searxng_json"


@pytest.mark.parametrize("status", [302, 400, 403, 404, 429, 500, 503])
async def test_any_status_but_200_is_a_back_end_that_is_down(http: httpx2.AsyncClient, status: int) -> None:
    assert await _problem(http, lambda request: Reply(status)) == f"http_{status}"


async def test_f25_a_back_end_that_hangs_is_given_up(http: httpx2.AsyncClient) -> None:
    assert await _problem(http, lambda request: Reply(after_s=30)) == "timeout"


async def test_a_back_end_that_is_not_there_is_unreachable(http: httpx2.AsyncClient) -> None:
    async with serving(lambda request: Reply()) as server:
        gone = server.url
    with pytest.raises(SearchUnavailableError, match="unreachable"):
        await SearxngSearch(http, gone).search("q", 1)


async def test_a_body_that_cannot_be_decoded_is_a_back_end_that_is_down(http: httpx2.AsyncClient) -> None:
    reply = Reply(body=b"not gzip", headers={"content-encoding": "gzip"})
    assert await _problem(http, lambda request: reply) == "undecodable"
