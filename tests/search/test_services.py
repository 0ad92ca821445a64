"""What is special about each search service, by its documented protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import structlog.testing

from search.backend import SearchHit
from tests.http_server import Reply, Request, json_reply, serving
from tests.search.test_search import ACME, KEY, SERVICES, ZEN, Service, hosted, problem

SEARXNG, SERPER, TAVILY, BRAVE, HOSTED = SERVICES


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=10.0, trust_env=False) as client:
        yield client


async def asked(http: httpx2.AsyncClient, service: Service, query: str, page: int) -> list[Request]:
    """The requests that a search makes; the address that is set may end with a slash."""
    async with serving(lambda request: json_reply(service.no_hits)) as server:
        await service.at(http, f"{server.url}/").search(query, page)
        return server.requests


async def hits_of(http: httpx2.AsyncClient, service: Service, answer: dict[str, Any]) -> list[SearchHit]:
    """The hits of an answer."""
    async with serving(lambda request: json_reply(answer)) as server:
        return await service.at(http, server.url).search("property managers", 1)


async def test_searxng_is_asked_for_a_page_as_json(http: httpx2.AsyncClient) -> None:
    (request,) = await asked(http, SEARXNG, "a & b", 3)
    assert (request.method, request.target) == ("GET", "/search?q=a+%26+b&format=json&pageno=3")


async def test_searxng_with_blocked_engines_is_unavailable(http: httpx2.AsyncClient) -> None:
    silent = [["google", "CAPTCHA"], ["brave", "Suspended: too many requests"], ["duckduckgo", "timeout"]]
    blocked = {"query": "q", "number_of_results": 0, "results": [], "unresponsive_engines": silent}
    error = await problem(http, SEARXNG, lambda request: json_reply(blocked))
    assert (error.reason, error.non_retryable) == ("engines_unresponsive", False)
    hits = await hits_of(http, SEARXNG, {**blocked, "results": [{"url": ACME}]})
    assert [hit.url for hit in hits] == [ACME], "one engine that answers is enough"
    assert await hits_of(http, SEARXNG, {**blocked, "unresponsive_engines": []}) == []


async def test_serper_is_asked_for_a_page_of_the_united_states(http: httpx2.AsyncClient) -> None:
    (request,) = await asked(http, SERPER, "a & b", 3)
    assert (request.method, request.target) == ("POST", "/search")
    assert request.json() == {"q": "a & b", "page": 3, "gl": "us"}
    assert request.headers["x-api-key"] == KEY.get_secret_value()


async def test_serper_reports_used_up_credits_with_400(http: httpx2.AsyncClient) -> None:
    used_up = json_reply({"message": "Not enough credits", "statusCode": 400}, 400)
    error = await problem(http, SERPER, lambda request: used_up)
    assert (error.reason, error.non_retryable) == ("quota_SERPER_API_KEY", True)
    other = json_reply({"message": "Missing query parameter", "statusCode": 400}, 400)
    assert (await problem(http, SERPER, lambda request: other)).reason == "http_400"


async def test_tavily_is_asked_once_for_all_it_gives(http: httpx2.AsyncClient) -> None:
    (request,) = await asked(http, TAVILY, "a & b", 1)
    assert (request.method, request.target) == ("POST", "/search")
    assert request.json() == {"query": "a & b", "max_results": 20, "search_depth": "basic"}
    assert request.headers["authorization"] == f"Bearer {KEY.get_secret_value()}"


@pytest.mark.parametrize(("service", "page"), [(TAVILY, 2), (HOSTED, 2), (BRAVE, 11)], ids=str)
async def test_a_page_that_cannot_exist_needs_no_call(http: httpx2.AsyncClient, service: Service, page: int) -> None:
    assert await asked(http, service, "q", page) == []


@pytest.mark.parametrize("status", [432, 433])
async def test_tavily_reports_a_used_up_plan_with_its_own_statuses(http: httpx2.AsyncClient, status: int) -> None:
    error = await problem(http, TAVILY, lambda request: json_reply({"detail": {"error": "limit"}}, status))
    assert (error.reason, error.non_retryable) == ("quota_TAVILY_API_KEY", True)


async def test_brave_is_asked_for_a_page_of_twenty(http: httpx2.AsyncClient) -> None:
    (request,) = await asked(http, BRAVE, "a & b", 10)
    assert request.method == "GET"
    assert request.target == "/res/v1/web/search?q=a+%26+b&count=20&offset=9&country=US"
    assert request.headers["x-subscription-token"] == KEY.get_secret_value()


async def test_brave_gets_at_most_fifty_words(http: httpx2.AsyncClient) -> None:
    (request,) = await asked(http, BRAVE, " ".join(map(str, range(60))), 1)
    assert parse_qs(urlsplit(request.target).query)["q"][0].split()[-1] == "49"


@pytest.mark.parametrize(
    ("shown", "plain"),
    [
        ("<strong>Acme</strong> &amp; Sons&#x27;", "Acme & Sons'"),
        ("fees < 10 % and > 5 %", "fees < 10 % and > 5 %"),
        ("a&lt;b&gt; c", "a<b> c"),
        ('<a href="x">site</a><br/>', "site"),
    ],
)
async def test_brave_highlight_tags_are_removed(http: httpx2.AsyncClient, shown: str, plain: str) -> None:
    answer = {"type": "search", "web": {"results": [{"url": ACME, "title": shown, "description": shown}]}}
    assert await hits_of(http, BRAVE, answer) == [SearchHit(url=ACME, title=plain, content=plain)]


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (422, "SUBSCRIPTION_TOKEN_INVALID", "unauthorized_BRAVE_API_KEY"),
        (404, "SUBSCRIPTION_NOT_FOUND", "unauthorized_BRAVE_API_KEY"),
        (429, "QUOTA_LIMITED", "quota_BRAVE_API_KEY"),
        (422, "VALIDATION", "http_422"),
        (429, "RATE_LIMITED", "http_429"),
    ],
)
async def test_brave_is_understood_by_its_error_codes(
    http: httpx2.AsyncClient, status: int, code: str, reason: str
) -> None:
    answer = {"type": "ErrorResponse", "error": {"id": "1", "status": status, "code": code, "detail": "…"}}
    error = await problem(http, BRAVE, lambda request: json_reply(answer, status))
    assert (error.reason, error.non_retryable) == (reason, not reason.startswith("http_"))


@pytest.mark.parametrize(("reset", "wait_s"), [("2, 1419704", 2), ("1", 1), ("0, 5", None), ("soon", None), ("", None)])
async def test_brave_has_its_own_header_for_retry_delays(
    http: httpx2.AsyncClient, reset: str, wait_s: float | None
) -> None:
    error = await problem(http, BRAVE, lambda request: Reply(429, headers={"x-ratelimit-reset": reset}))
    assert (error.reason, error.retry_after_s) == ("http_429", wait_s)


async def test_hosted_search_is_asked_for_one_search(http: httpx2.AsyncClient) -> None:
    (request,) = await asked(http, HOSTED, "a & b", 1)
    assert (request.method, request.target) == ("POST", "/responses")
    assert request.headers["authorization"] == f"Bearer {KEY.get_secret_value()}"
    sent = request.json()
    assert (sent["model"], sent["input"], sent["store"]) == ("gpt-5-mini", "a & b", False)
    assert [tool["type"] for tool in sent["tools"]] == ["web_search"]
    assert (sent["tool_choice"], sent["max_tool_calls"], sent["max_output_tokens"]) == ("required", 1, 4000)
    assert sent["include"] == ["web_search_call.action.sources"]


async def test_hosted_search_returns_cited_pages_first(
    http: httpx2.AsyncClient,
) -> None:
    answer = hosted(
        [ZEN, ACME, "https://other.example/?a=1&utm_source=openai"],
        {"url": f"{ACME}?utm_source=openai", "title": "Acme"},
        {"url": ACME, "title": "Acme again"},
        {"type": "file_citation", "url": "https://file.example/"},
    )
    assert await hits_of(http, HOSTED, answer) == [
        SearchHit(url=ACME, title="Acme"),
        SearchHit(url=ZEN),
        SearchHit(url="https://other.example/?a=1"),
    ]


async def test_hosted_search_has_no_snippets(http: httpx2.AsyncClient) -> None:
    hits = await hits_of(http, HOSTED, hosted([ZEN], {"url": ACME, "title": "Acme"}))
    assert all(hit.content == "" for hit in hits)


async def test_a_source_without_an_address_is_left_out(http: httpx2.AsyncClient) -> None:
    answer = hosted([ZEN])
    answer["output"][1]["action"]["sources"].append({"type": "api", "name": "oai-weather"})
    assert await hits_of(http, HOSTED, answer) == [SearchHit(url=ZEN)]


async def test_an_answer_from_memory_is_an_error(http: httpx2.AsyncClient) -> None:
    unsearched = hosted([])
    del unsearched["output"][1]
    failed = hosted([])
    failed["output"][1]["status"] = "failed"
    for answer in (unsearched, failed):
        assert (await problem(http, HOSTED, lambda request, answer=answer: json_reply(answer))).reason == "not_searched"  # type: ignore[misc]


async def test_an_incomplete_response_counts_a_failed_one_does_not(
    http: httpx2.AsyncClient,
) -> None:
    assert await hits_of(http, HOSTED, hosted([ZEN]) | {"status": "incomplete"}) == [SearchHit(url=ZEN)]
    failed = hosted([ZEN]) | {"status": "failed", "output": [], "usage": None}
    assert (await problem(http, HOSTED, lambda request: json_reply(failed))).reason == "response_failed"


async def test_openai_tells_used_up_quota_from_rate_limit(http: httpx2.AsyncClient) -> None:
    used_up = json_reply({"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}, 429)
    error = await problem(http, HOSTED, lambda request: used_up)
    assert (error.reason, error.non_retryable) == ("quota_OPENAI_API_KEY", True)
    slow_down = json_reply({"error": {"code": "rate_limit_exceeded"}}, 429)
    assert (await problem(http, HOSTED, lambda request: slow_down)).reason == "http_429"


async def test_hosted_search_logs_usage_but_no_query(http: httpx2.AsyncClient) -> None:
    with structlog.testing.capture_logs() as logs:
        await hits_of(http, HOSTED, hosted([ZEN]))
    assert logs == [
        {
            "event": "hosted_search_used",
            "log_level": "info",
            "model": "gpt-5-mini",
            "searches": 1,
            "input_tokens": 8123,
            "output_tokens": 210,
        }
    ]
