"""HubSpot suppression against a local server that speaks the documented company search."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from crm.hubspot import HubSpotAccessDeniedError, HubSpotCompanies, HubSpotUnavailableError, http_client, hubspot_client
from settings import Settings
from tests.http_server import HttpServer, Reply, Request, json_reply, serving

PATH = "/crm/v3/objects/companies/search"
NOW = datetime.now(UTC)


def ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat().replace("+00:00", "Z")


def company(domain: str | None, hubspot_id: Any = "1", **properties: str | None) -> dict[str, Any]:
    return {"id": hubspot_id, "properties": {"domain": domain, **properties}, "archived": False}


def found(*companies: dict[str, Any], after: str | None = None) -> Reply:
    paging = {"paging": {"next": {"after": after, "link": "…"}}} if after else {}
    return json_reply({"total": len(companies), "results": list(companies), **paging})


@asynccontextmanager
async def hubspot(
    answer: Callable[[Request], Reply], *churned: str
) -> AsyncIterator[tuple[HubSpotCompanies, HttpServer]]:
    async with serving(answer) as server, http_client() as http:
        token = SecretStr("pat-secret")
        yield (
            HubSpotCompanies(http, f"{server.url}/", token, churned_stages=churned, requests_per_s=1_000),
            server,
        )


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"lifecyclestage": "customer"}, "customer"),
        ({"lifecyclestage": "Evangelist"}, "customer"),
        ({"lifecyclestage": "lead"}, None),
        ({"lifecyclestage": "churned"}, None),
        ({"lifecyclestage": "churned", "notes_last_contacted": ago(3)}, "contacted"),
        ({"lifecyclestage": None, "notes_last_contacted": None}, None),
        ({}, None),
        ({"notes_last_contacted": ago(89)}, "contacted"),
        ({"notes_last_contacted": ago(91)}, None),
        ({"hs_last_sales_activity_timestamp": ago(5), "notes_last_contacted": ago(200)}, "contacted"),
        ({"notes_last_contacted": str(int((NOW - timedelta(days=2)).timestamp() * 1000))}, "contacted"),
    ],
    ids=["customer", "evangelist", "lead", "churned", "churned_contacted", "null", "missing", "in_window", "out_of_window",
         "sales_activity", "milliseconds"],
)  # fmt: skip
async def test_stage_and_last_contact_give_the_reason(properties: dict[str, str | None], reason: str | None) -> None:
    async with hubspot(lambda _: found(company("acme.com", **properties)), "churned") as (crm, _):
        assert await crm.reason(["acme.com"], 90) == reason


async def test_a_stage_of_customers_can_be_set_to_mean_churned() -> None:
    async with hubspot(lambda _: found(company("acme.com", lifecyclestage="evangelist")), "Evangelist ") as (crm, _):
        assert await crm.reason(["acme.com"], 90) is None


async def test_the_search_covers_main_and_additional_domains() -> None:
    async with hubspot(lambda _: found()) as (crm, server):
        await crm.look_up(["acme.com", "acme-homes.com", "acme.com"])
    [asked] = server.requests
    assert (asked.method, asked.target, asked.headers["authorization"]) == ("POST", PATH, "Bearer pat-secret")
    search = asked.json()
    assert [group["filters"] for group in search["filterGroups"]] == [
        [{"propertyName": "domain", "operator": "IN", "values": ["acme.com", "acme-homes.com"]}],
        [{"propertyName": "hs_additional_domains", "operator": "CONTAINS_TOKEN", "value": "acme.com"}],
        [{"propertyName": "hs_additional_domains", "operator": "CONTAINS_TOKEN", "value": "acme-homes.com"}],
    ]
    assert {"domain", "lifecyclestage", "notes_last_contacted"} <= set(search["properties"])
    assert search["limit"] == 200 and "after" not in search


async def test_no_search_has_more_filter_groups_than_hubspot_takes() -> None:
    async with hubspot(lambda _: found()) as (crm, server):
        await crm.look_up([f"company{number}.com" for number in range(10)])
    assert [len(request.json()["filterGroups"]) for request in server.requests] == [5, 5, 3]


async def test_paging_is_followed_to_the_end() -> None:
    def answer(request: Request) -> Reply:
        after = request.json().get("after", "0")
        if after == "400":
            return found(company("acme.com", "last", lifecyclestage="customer"))
        return found(company("other.com", after), after=str(int(after) + 200))

    async with hubspot(answer) as (crm, server):
        assert await crm.reason(["acme.com"], 90) == "customer"
    assert [request.json().get("after") for request in server.requests] == [None, "200", "400"]


async def test_paging_that_goes_in_circles_is_no_answer() -> None:
    async with hubspot(lambda _: found(after="200")) as (crm, _):
        with pytest.raises(HubSpotUnavailableError, match="circles"):
            await crm.reason(["acme.com"], 90)


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (company("acme.com", lifecyclestage="customer"), "customer"),
        (company("x.com", hs_additional_domains="y.com;www.acme.com;acme.com", lifecyclestage="customer"), "customer"),
        (company("notacme.com", lifecyclestage="customer"), None),
        (company(None, hs_additional_domains="shop.acme.com", lifecyclestage="customer"), None),
    ],
    ids=["main", "additional", "looks_alike", "part_of_a_name"],
)
async def test_only_a_company_that_lists_the_very_domain_counts(listed: dict[str, Any], reason: str | None) -> None:
    async with hubspot(lambda _: found(listed)) as (crm, _):
        assert await crm.reason(["acme.com"], 90) == reason


async def test_a_domain_is_asked_for_once_within_minutes() -> None:
    async with hubspot(lambda _: found(company("acme.com", lifecyclestage="customer"))) as (crm, server):
        reasons = await asyncio.gather(*(crm.reason(["acme.com", "b.com"], 90) for _ in range(5)))
        assert await crm.reason(["b.com"], 90) is None
        assert len(server.requests) == 1
        await crm.reason(["c.com", "acme.com"], 90)
    assert reasons == ["customer"] * 5
    assert server.requests[1].json()["filterGroups"][0]["filters"][0]["values"] == ["c.com"]


async def test_a_full_cache_drops_the_oldest_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm.hubspot._CACHED_DOMAINS_MAX", 4)
    first, *others = (f"company{number}.com" for number in range(11))
    async with hubspot(lambda _: found(company(first, lifecyclestage="customer"))) as (crm, server):
        assert await crm.reason([first], 90) == "customer"
        assert await crm.reason([first, *others], 90) == "customer"
        assert len(server.requests) == 4
        await crm.look_up(others[-4:])
        assert len(server.requests) == 4, "the last answers are kept"
        assert await crm.reason([first], 90) == "customer"
    assert len(server.requests) == 5


async def test_an_error_is_not_cached() -> None:
    replies = [Reply(500), found(company("acme.com", lifecyclestage="customer"))]
    async with hubspot(lambda _: replies.pop(0)) as (crm, _):
        with pytest.raises(HubSpotUnavailableError):
            await crm.reason(["acme.com"], 90)
        assert await crm.reason(["acme.com"], 90) == "customer"


async def test_a_failed_page_fails_the_whole_search() -> None:
    replies = [found(company("other.com"), after="200"), Reply(502)]
    async with hubspot(lambda _: replies.pop(0)) as (crm, _):
        with pytest.raises(HubSpotUnavailableError, match="HTTP 502"):
            await crm.reason(["acme.com"], 90)


@pytest.mark.parametrize(
    ("reply", "retry_after_s"),
    [
        (Reply(429, headers={"retry-after": "7"}), 7.0),
        (Reply(429), None),
        (Reply(503, headers={"retry-after": "soon"}), None),
        (Reply(500), None),
        (Reply(200, b"<html>"), None),
        (json_reply({"total": 0}), None),
        (json_reply({"results": [{"id": "1"}]}), None),
        (json_reply({"results": None}), None),
        (found(company("acme.com", notes_last_contacted="yesterday")), None),
    ],
    ids=["429_retry_after", "429", "503", "500", "not_json", "no_results", "no_properties", "results_null", "bad_time"],
)
async def test_an_unusable_answer_is_temporary(reply: Reply, retry_after_s: float | None) -> None:
    async with hubspot(lambda _: reply) as (crm, _):
        with pytest.raises(HubSpotUnavailableError, match="held back") as caught:
            await crm.reason(["acme.com"], 90)
    assert caught.value.retry_after_s == retry_after_s


@pytest.mark.parametrize(
    ("status", "setting"), [(401, "HUBSPOT_TOKEN"), (403, "HUBSPOT_TOKEN"), (404, "HUBSPOT_BASE_URL")]
)
async def test_a_refusal_names_the_setting_and_not_the_token(status: int, setting: str) -> None:
    async with hubspot(lambda _: Reply(status, b'{"message": "no"}')) as (crm, _):
        with pytest.raises(HubSpotAccessDeniedError, match=setting) as caught:
            await crm.reason(["acme.com"], 90)
    assert "pat-secret" not in str(caught.value)


async def test_an_unreachable_server_is_temporary() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with http_client() as http:
            address = f"http://127.0.0.1:{unused.getsockname()[1]}"
            crm = HubSpotCompanies(http, address, SecretStr("t"), requests_per_s=1_000)
            with pytest.raises(HubSpotUnavailableError, match="unreachable"):
                await crm.look_up(["acme.com"])


async def test_without_a_token_it_is_off(plain_environment: None) -> None:
    async with http_client() as http:
        assert hubspot_client(Settings(_env_file=None), http) is None
        assert hubspot_client(Settings(_env_file=None, hubspot_token=SecretStr("t")), http) is not None
