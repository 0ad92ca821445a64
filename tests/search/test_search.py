"""What all search back ends have in common. Each talks to a local server that plays its service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter

from domain.failures import SEARCH_UNAVAILABLE
from search.backend import SearchBackend, SearchHit, SearchUnavailableError
from search.brave import BraveSearch
from search.openai_hosted import HostedSearch
from search.searxng import SearxngSearch
from search.serper import SerperSearch
from search.tavily import TavilySearch
from settings import SearchBackendName
from tests.conftest import DemoServers
from tests.http_server import Handler, Reply, json_reply, serving

KEY = SecretStr("key-of-the-test")
ACME, ZEN = "https://acme.example/", "http://zen.example/team"


def hosted(sources: list[str], *cited: dict[str, Any]) -> dict[str, Any]:
    """An answer of the Responses API after one web search."""
    notes = [{"type": "url_citation", "start_index": 0, "end_index": 9, "title": "", **note} for note in cited]
    action = {"type": "search", "query": "q", "sources": [{"type": "url", "url": url} for url in sources]}
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": action},
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Two companies.", "annotations": notes}],
            },
        ],
        "usage": {"input_tokens": 8123, "output_tokens": 210, "total_tokens": 8333},
    }


@dataclass(frozen=True)
class Service:
    """A back end and its service's answers. One of the two hits has no title or snippet."""

    name: SearchBackendName
    setting: str
    make: Callable[[httpx2.AsyncClient, str, SecretStr], SearchBackend]
    two_hits: dict[str, Any]
    no_hits: dict[str, Any]
    list_missing: dict[str, Any]
    address_missing: dict[str, Any]
    snippet: str = "Homes in Austin"

    def __str__(self) -> str:
        return self.name

    def at(self, http: httpx2.AsyncClient, url: str, key: SecretStr = KEY) -> SearchBackend:
        """The back end, with its service at this address."""
        return self.make(http, url, key)


SERVICES = [
    Service(
        "searxng",
        "SEARXNG_URL",
        lambda http, url, key: SearxngSearch(http, url),
        {
            "results": [{"url": ACME, "title": "Ac\x00me", "content": "Homes in Austin", "score": 1.5}, {"url": ZEN}],
            "answers": [],
        },
        {"results": []},
        {"answers": []},
        {"results": [{"title": "no address"}]},
    ),
    Service(
        "serper",
        "SERPER_API_KEY",
        lambda http, url, key: SerperSearch(http, url, key),
        {
            "searchParameters": {"q": "q", "gl": "us"},
            "organic": [
                {"link": ACME, "title": "Ac\x00me", "snippet": "Homes in Austin", "position": 1},
                {"link": ZEN, "position": 2},
            ],
            "credits": 1,
        },
        {"searchParameters": {"q": "q"}, "organic": [], "credits": 1},
        {"searchParameters": {"q": "q"}},
        {"organic": [{"title": "no address"}]},
    ),
    Service(
        "tavily",
        "TAVILY_API_KEY",
        lambda http, url, key: TavilySearch(http, url, key),
        {
            "query": "q",
            "answer": None,
            "results": [
                {"url": ACME, "title": "Ac\x00me", "content": "Homes in Austin", "score": 0.9, "raw_content": None},
                {"url": ZEN, "content": None},
            ],
            "response_time": 1.2,
        },
        {"query": "q", "results": []},
        {"query": "q"},
        {"results": [{"title": "no address"}]},
    ),
    Service(
        "brave",
        "BRAVE_API_KEY",
        lambda http, url, key: BraveSearch(http, url, key),
        {
            "type": "search",
            "query": {"original": "q"},
            "web": {
                "type": "search",
                "results": [
                    {"url": ACME, "title": "Ac\x00me", "description": "<strong>Homes</strong> in Austin"},
                    {"url": ZEN},
                ],
            },
        },
        {"type": "search", "query": {"original": "q"}},
        {"type": "ErrorResponse"},
        {"type": "search", "web": {"results": [{"title": "no address"}]}},
    ),
    Service(
        "openai",
        "OPENAI_API_KEY",
        lambda http, url, key: HostedSearch(http, url, key, "gpt-5-mini", http.timeout.read or 10.0, 4000),
        hosted([ZEN], {"url": ACME, "title": "Ac\x00me"}),
        hosted([]),
        {"status": "completed"},
        {"status": "completed", "output": [{"type": "message", "content": [{"annotations": [{"url": ACME}]}]}]},
        snippet="",
    ),
]
KEYED = SERVICES[1:]
every_service = pytest.mark.parametrize("service", SERVICES, ids=str)
every_keyed_service = pytest.mark.parametrize("service", KEYED, ids=str)


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=10.0, trust_env=False) as client:
        yield client


async def problem(http: httpx2.AsyncClient, service: Service, handler: Handler) -> SearchUnavailableError:
    """The error of a search that the server answers like this."""
    async with serving(handler) as server:
        with pytest.raises(SearchUnavailableError) as caught:
            await service.at(http, server.url).search("property managers", 1)
    return caught.value


@every_service
async def test_hits_have_an_address_and_what_else_the_service_says(http: httpx2.AsyncClient, service: Service) -> None:
    async with serving(lambda request: json_reply(service.two_hits)) as server:
        search = service.at(http, server.url)
        hits = await search.search("property managers", 1)
    assert hits == [SearchHit(url=ACME, title="Acme", content=service.snippet), SearchHit(url=ZEN)]
    assert search.name == service.name


@every_service
async def test_only_addresses_that_can_be_opened_are_hits(http: httpx2.AsyncClient, service: Service) -> None:
    text = json_reply(service.two_hits).body.replace(ZEN.encode(), b"ftp://zen.example/")
    async with serving(lambda request: Reply(body=text)) as server:
        hits = await service.at(http, server.url).search("property managers", 1)
    assert [hit.url for hit in hits] == [ACME]


@every_service
async def test_nothing_found_is_empty(http: httpx2.AsyncClient, service: Service) -> None:
    async with serving(lambda request: json_reply(service.no_hits)) as server:
        assert await service.at(http, server.url).search("nobody", 1) == []


@every_service
async def test_a_200_in_another_format_is_an_error(http: httpx2.AsyncClient, service: Service) -> None:
    strangers = [b"", b"<html>Too many requests</html>", b"null", b"[]", b"{}", b'{"results": [', b"\xff\xfe\x00"]
    bodies = [*strangers, *(json_reply(body).body for body in (service.list_missing, service.address_missing))]
    broken_text = json_reply(service.two_hits).body.replace(b"acme", b"\\ud800")
    for body in [*bodies, broken_text]:
        error = await problem(http, service, lambda request, body=body: Reply(body=body))  # type: ignore[misc]
        assert error.reason == f"not_{service.name}_json", body
        assert not error.non_retryable


@every_service
@pytest.mark.parametrize("status", [302, 400, 404, 500, 503])
async def test_any_other_status_is_an_error(http: httpx2.AsyncClient, service: Service, status: int) -> None:
    error = await problem(http, service, lambda request: Reply(status, b"<html>sorry</html>"))
    assert (error.reason, error.retry_after_s, error.non_retryable) == (f"http_{status}", None, False)


@every_service
async def test_a_hanging_back_end_is_a_timeout(service: Service) -> None:
    async with httpx2.AsyncClient(timeout=0.1, trust_env=False) as impatient:
        assert (await problem(impatient, service, lambda request: Reply(after_s=30))).reason == "timeout"


@every_service
async def test_an_undecodable_body_is_an_error(http: httpx2.AsyncClient, service: Service) -> None:
    reply = Reply(body=b"not gzip", headers={"content-encoding": "gzip"})
    assert (await problem(http, service, lambda request: reply)).reason == "undecodable"


@every_service
async def test_an_unreachable_or_bad_address_is_an_error(http: httpx2.AsyncClient, service: Service) -> None:
    async with serving(lambda request: Reply()) as server:
        gone = server.url
    for url, reason in (
        (gone, "unreachable"),
        ("search.example", "bad_address"),
        ("http://a.example:port", "bad_address"),
    ):
        with pytest.raises(SearchUnavailableError) as caught:
            await service.at(http, url).search("q", 1)
        assert caught.value.reason == reason


@every_keyed_service
@pytest.mark.parametrize(("status", "refusal"), [(401, "unauthorized"), (403, "unauthorized"), (402, "quota")])
async def test_a_refused_key_is_permanent_and_names_the_setting(
    http: httpx2.AsyncClient, service: Service, status: int, refusal: str
) -> None:
    error = await problem(http, service, lambda request: json_reply({"message": "no"}, status))
    assert (error.reason, error.non_retryable) == (f"{refusal}_{service.setting}", True)
    assert service.setting in error.message
    assert KEY.get_secret_value() not in str(error)


async def test_searxng_takes_no_key_so_a_403_is_its_own_trouble(http: httpx2.AsyncClient) -> None:
    assert (await problem(http, SERVICES[0], lambda request: Reply(403))).reason == "http_403"


@every_service
async def test_retry_after_is_the_next_retry_delay(http: httpx2.AsyncClient, service: Service) -> None:
    error = await problem(http, service, lambda request: Reply(429, headers={"retry-after": "7"}))
    assert (error.reason, error.retry_after_s, error.non_retryable) == ("http_429", 7, False)
    assert error.next_retry_delay == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("header", "delay"),
    [
        (format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True), timedelta(minutes=5)),
        ("90000", timedelta(minutes=5)),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00", None),
        ("soon", None),
        ("-1", None),
        ("inf", None),
        ("nan", None),
        ("", None),
    ],
    ids=["in_two_days", "too_long", "past", "no_zone", "word", "negative", "endless", "no_number", "empty"],
)
async def test_retry_after_is_capped_and_may_be_unusable(
    http: httpx2.AsyncClient, header: str, delay: timedelta | None
) -> None:
    error = await problem(http, SERVICES[1], lambda request: Reply(503, headers={"retry-after": header}))
    assert (error.reason, error.next_retry_delay) == ("http_503", delay)


@pytest.mark.parametrize("key", ["schlüssel", "two words", "two\nlines"])
@every_keyed_service
async def test_an_unusable_key_is_never_sent_or_shown(http: httpx2.AsyncClient, service: Service, key: str) -> None:
    async with serving(lambda request: json_reply(service.two_hits)) as server:
        with pytest.raises(SearchUnavailableError) as caught:
            await service.at(http, server.url, SecretStr(key)).search("q", 1)
        assert server.requests == []
    assert caught.value.reason == f"unauthorized_{service.setting}"
    assert caught.value.__cause__ is None
    assert key not in str(caught.value)


def test_temporal_sees_type_and_delay() -> None:
    failure = Failure()
    error = SearchUnavailableError("http_429", retry_after_s=7)
    pydantic_data_converter.failure_converter.to_failure(error, pydantic_data_converter.payload_converter, failure)
    info = failure.application_failure_info
    assert (info.type, info.non_retryable, info.next_retry_delay.seconds) == (SEARCH_UNAVAILABLE, False, 7)
    assert failure.message == "web search did not answer: http_429"


async def test_the_demo_search_answers_in_pages_that_do_not_repeat(demo: DemoServers, http: httpx2.AsyncClient) -> None:
    search = SearxngSearch(http, demo.searxng_url)
    pages = [await search.search("property management companies in Texas", page) for page in (1, 2)]
    urls = [hit.url for page in pages for hit in page]
    assert len(urls) == len(set(urls)) > 10
    assert all(hit.title and hit.url.startswith("http://") for page in pages for hit in page)


async def test_far_beyond_the_last_page_there_is_nothing(demo: DemoServers, http: httpx2.AsyncClient) -> None:
    assert await SearxngSearch(http, demo.searxng_url).search("property management", 5000) == []
