"""The model's tool calls: what may be opened, what is refused, and what a search shows."""

from __future__ import annotations

import dataclasses
import json
from uuid import UUID

import pytest

from agents.roles import company_research
from agents.tool_calls import KnownSites, ToolCalls
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from tests.agents.conftest import Scripted
from tests.agents.scripted_model import EMPTY_RESEARCH, calls, says
from web.gateway import ToolGateway


@pytest.fixture(scope="module")
def site() -> GoldCompany:
    """A demo company with a site of its own."""
    companies = gold_table(generate_world(DEFAULT_SEED)).companies
    return next(each for each in companies if each.deliverable and each.units and each.decision_makers)


async def test_all_calls_of_a_turn_are_answered_under_their_ids(
    model: Scripted, run_id: UUID, site: GoldCompany
) -> None:
    both = calls(("fetch_page", {"url": site.website}), ("search_web", {"query": site.name, "page": 1}))
    async with model(both, says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id, allowed=(str(site.website),))
        page, search = server.tool_outputs()
        ids = [item["call_id"] for item in server.asked(1)["input"] if item.get("type") == "function_call_output"]
    assert ids == ["call_0", "call_1"]
    assert page["status"] == search["status"] == "ok"
    assert site.name in page["text"]
    assert page["text"].endswith(f"\n</untrusted-{page['result_id']}>")
    assert set(answer.results) == {page["result_id"], search["result_id"]}


async def test_known_companies_are_marked_in_search_results(gateway: ToolGateway, site: GoldCompany) -> None:
    query = json.dumps({"query": f"{site.name} {site.city}", "page": 1})
    asked: list[set[str]] = []

    async def known_sites(sites: set[str]) -> set[str]:
        asked.append(sites)
        return {str(site.domain)}

    def tools(known: KnownSites | None) -> ToolCalls:
        return ToolCalls(gateway, ("search_web", "fetch_page"), calls_max=5, allowed_urls=set(), known_sites=known)

    everything = (await tools(None).call("search_web", query))["results"]
    shown = (await tools(known_sites).call("search_web", query))["results"]

    of_site = [site.domain in hit["url"] for hit in everything]
    assert True in of_site
    assert [hit.get("already_known", False) for hit in shown] == of_site
    assert [hit["url"] for hit in shown] == [hit["url"] for hit in everything]
    assert [hit.get("snippet") for hit in shown] == [
        None if known else hit["snippet"] for known, hit in zip(of_site, everything, strict=True)
    ]
    assert site.domain in asked[0]


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("send_email", {"to": "all"}, "no_such_tool"),
        ("fetch_page", {}, "bad_arguments"),
        ("fetch_page", "not json", "bad_arguments"),
        ("fetch_page", {"url": "http://a.example/", "method": "POST"}, "bad_arguments"),
        ("fetch_page", {"url": ""}, "bad_arguments"),
        ("search_web", {"query": "x", "page": 0}, "bad_arguments"),
        ("search_web", {"query": "x" * 301, "page": 1}, "bad_arguments"),
        ("search_web", "[]", "bad_arguments"),
    ],
)
async def test_an_invalid_call_is_answered_with_an_error(
    model: Scripted, run_id: UUID, name: str, arguments: dict[str, object] | str, reason: str
) -> None:
    async with model(calls((name, arguments)), says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id)
        (output,) = server.tool_outputs()
    assert (answer.stop, answer.results) == ("answered", {})
    assert output["status"] == "error"
    assert output["reason"].startswith(reason)


@pytest.mark.parametrize(
    "url",
    [
        "http://never-seen.example/",
        "http://169.254.169.254/latest/meta-data/",
        "http://93.184.216.34/",
        "http://localhost:8080/",
        "file:///etc/passwd",
        "http://a\x00b.example/",
    ],
)
@pytest.mark.parametrize("allowed", [set(), {"http://known.example/"}, {"http://198.51.100.7/"}], ids=str)
async def test_an_address_never_seen_is_not_opened(gateway: ToolGateway, url: str, allowed: set[str]) -> None:
    tools = ToolCalls(gateway, ("fetch_page",), calls_max=5, allowed_urls=allowed)
    output = await tools.call("fetch_page", json.dumps({"url": url}))
    assert output["reason"].startswith("address_not_seen")
    assert tools.results == {}


async def test_a_search_result_allows_its_whole_site(gateway: ToolGateway, site: GoldCompany) -> None:
    website = str(site.website).rstrip("/")
    tools = ToolCalls(gateway, ("search_web", "fetch_page"), calls_max=5, allowed_urls=set())

    async def fetch(path: str) -> tuple[str, str]:
        output = await tools.call("fetch_page", json.dumps({"url": website + path}))
        return output["status"], (output["reason"] or "").split(":")[0]

    assert await fetch("/about") == ("error", "address_not_seen")
    query = json.dumps({"query": f"{site.name} {site.city} {site.state}", "page": 1})
    search = await tools.call("search_web", query)
    assert any(hit["url"].startswith(website) for hit in search["results"])
    assert await fetch("/") == ("ok", "")
    assert await fetch("/no-such-page") == ("error", "http_404")


async def test_calls_beyond_the_limit_are_not_run(model: Scripted, run_id: UUID) -> None:
    role = dataclasses.replace(company_research.ROLE, tool_calls_max=3)
    five = calls(*(("search_web", {"query": f"query {number}", "page": 1}) for number in range(5)))
    async with model(five, says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id, role=role)
        outputs = server.tool_outputs()
    refused = [output["reason"].split(":")[0] for output in outputs if not output["result_id"]]
    assert refused == ["limit reached"] * 2
    assert len(answer.results) == 3


async def test_a_role_is_offered_only_its_own_tools(model: Scripted, run_id: UUID) -> None:
    role = dataclasses.replace(company_research.ROLE, tools=("fetch_page",))
    async with model(calls(("search_web", {"query": "x", "page": 1})), says(EMPTY_RESEARCH)) as server:
        await server.run(run_id, role=role)
        assert [tool["name"] for tool in server.asked(0)["tools"]] == ["fetch_page"]
        assert server.tool_outputs()[0]["reason"].startswith("no_such_tool")
