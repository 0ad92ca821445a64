"""One agent call: what the model may do, and that whatever it says ends in a typed answer (LESSONS F38 to F50)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from uuid import UUID

import pytest
from temporalio.exceptions import ApplicationError

from agents.roles import company_research, discovery
from agents.roles.company_research import ResearchOutput
from agents.roles.discovery import DiscoveryOutput
from agents.tool_calls import KnownSites, ToolCalls
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from settings import Settings
from store.database import Database
from tests.agents.scripted_model import (
    EMPTY_RESEARCH,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Model,
    calls,
    opens,
    refuses,
    says,
    scripted,
)
from tests.http_server import Reply
from tests.store.rows import add_run
from web.gateway import ToolGateway

Scripted = Callable[..., AbstractAsyncContextManager[Model]]
PRICE_USD = (INPUT_TOKENS * 1.0 + OUTPUT_TOKENS * 4.0) / 1_000_000  # as the fixture `settings` prices tokens


@pytest.fixture(scope="module")
def site() -> GoldCompany:
    """A demo company with a site of its own, units and people."""
    companies = gold_table(generate_world(DEFAULT_SEED)).companies
    return next(each for each in companies if each.deliverable and each.units and each.decision_makers)


@pytest.fixture
async def run_id(database: Database) -> UUID:
    async with database.transaction() as conn:
        return (await add_run(conn)).run_id


@pytest.fixture
def model(database: Database, gateway: ToolGateway, settings: Settings) -> Scripted:
    return partial(scripted, database, gateway, settings)


async def test_an_answer_in_the_schema_ends_the_call_and_states_its_price(model: Scripted, run_id: UUID) -> None:
    async with model(says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id)
        assert (answer.stop, answer.output) == ("answered", ResearchOutput.model_validate(EMPTY_RESEARCH))
        assert answer.spend.cost_usd == pytest.approx(PRICE_USD)
        assert answer.spend.model_calls == server.bought == 1


async def test_f39_a_request_asks_for_the_schema_keeps_nothing_at_the_provider_and_forces_no_tool(
    model: Scripted, run_id: UUID
) -> None:
    async with model(says(EMPTY_RESEARCH)) as server:
        await server.run(run_id)
        asked = server.asked(0)
    assert asked["text"]["format"]["name"] == "company_research"
    assert asked["text"]["format"]["strict"] is True
    assert {tool["name"] for tool in asked["tools"]} == {"fetch_page", "search_web"}
    assert asked["store"] is False
    assert "tool_choice" not in asked


async def test_prose_gets_one_repair_turn_that_names_the_problem(model: Scripted, run_id: UUID) -> None:
    async with model(says("Here is what I found!"), says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id)
        assert answer.stop == "answered"
        assert answer.spend.model_calls == server.bought == 2
        assert "did not fit the schema" in server.asked(1)["input"][-1]["content"]


async def test_prose_twice_is_unreadable_and_not_asked_a_third_time(model: Scripted, run_id: UUID) -> None:
    async with model(says("Sure!"), says('{"units": "many"}'), says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id)
        assert (answer.stop, answer.output, server.bought) == ("unreadable", None, 2)
        assert (await server.run(run_id)).stop == "unreadable"
        assert server.bought == 2, "asked again, the stored turns say the same for nothing"


async def test_a_refusal_ends_the_call_without_repair(model: Scripted, run_id: UUID) -> None:
    async with model(refuses(), says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id)
        assert (answer.stop, answer.output, server.bought) == ("refused", None, 1)


async def test_calls_of_one_turn_are_all_answered_under_their_ids(
    model: Scripted, run_id: UUID, site: GoldCompany
) -> None:
    both = calls(("fetch_page", {"url": site.website}), ("search_web", {"query": site.name, "page": 1}))
    async with model(both, says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id, seen=(str(site.website),))
        page, search = server.tool_outputs()
        ids = [item["call_id"] for item in server.asked(1)["input"] if item.get("type") == "function_call_output"]
    assert ids == ["call_0", "call_1"]
    assert page["status"] == search["status"] == "ok"
    assert site.name in page["text"]
    assert page["text"].endswith(f"\n</untrusted-{page['result_id']}>")
    assert set(answer.results) == {page["result_id"], search["result_id"]}


async def test_f51_what_a_search_finds_of_known_companies_is_marked_and_not_told_again(
    gateway: ToolGateway, site: GoldCompany
) -> None:
    query = json.dumps({"query": f"{site.name} {site.city}", "page": 1})
    asked: list[set[str]] = []

    async def known_sites(sites: set[str]) -> set[str]:
        asked.append(sites)
        return {str(site.domain)}

    def tool_calls(known: KnownSites | None) -> ToolCalls:
        return ToolCalls(gateway, ("search_web", "fetch_page"), calls_max=5, allowed_urls=set(), known_sites=known)

    everything = json.loads(await tool_calls(None).call("search_web", query))
    tools = tool_calls(known_sites)
    shown = json.loads(await tools.call("search_web", query))

    of_site = [site.domain in hit["url"] for hit in everything["results"]]
    assert True in of_site
    assert [hit.get("already_known", False) for hit in shown["results"]] == of_site
    assert [hit["url"] for hit in shown["results"]] == [hit["url"] for hit in everything["results"]]
    assert [hit.get("snippet") for hit in shown["results"]] == [
        None if known else hit["snippet"] for known, hit in zip(of_site, everything["results"], strict=True)
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
async def test_f46_a_call_that_makes_no_sense_is_answered_and_the_call_goes_on(
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
@pytest.mark.parametrize("seen", [(), ("http://known.example/",), ("http://198.51.100.7/",)], ids=str)
async def test_an_address_that_was_never_seen_is_not_opened(
    model: Scripted, run_id: UUID, url: str, seen: tuple[str, ...]
) -> None:
    async with model(opens(url), says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id, seen=seen)
        (output,) = server.tool_outputs()
    assert output["reason"].startswith("address_not_seen")
    assert answer.results == {}


async def test_what_a_search_shows_may_be_opened_and_so_may_the_rest_of_that_site(
    model: Scripted, run_id: UUID, site: GoldCompany
) -> None:
    website = str(site.website).rstrip("/")
    script = (
        opens(f"{website}/about"),
        calls(("search_web", {"query": f"{site.name} {site.city} {site.state}", "page": 1})),
        opens(f"{website}/"),
        opens(f"{website}/no-such-page"),
        says(EMPTY_RESEARCH),
    )
    async with model(*script) as server:
        await server.run(run_id)
        too_early, search, home, elsewhere = server.tool_outputs()
    assert too_early["reason"].startswith("address_not_seen")
    assert any(hit["url"].startswith(website) for hit in search["results"])
    assert home["status"] == "ok"
    assert (elsewhere["status"], elsewhere["reason"]) == ("error", "http_404")


async def test_f50_calls_beyond_the_limit_are_not_run_and_the_model_is_told_to_answer(
    model: Scripted, run_id: UUID
) -> None:
    role = dataclasses.replace(company_research.ROLE, tool_calls_max=3)
    five = calls(*(("search_web", {"query": f"query {number}", "page": 1}) for number in range(5)))
    async with model(five, says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id, role=role)
        outputs = server.tool_outputs()
    assert [output["reason"].split(":")[0] if not output["result_id"] else "" for output in outputs] == [
        *[""] * 3,
        *["limit reached"] * 2,
    ]
    assert len(answer.results) == 3


async def test_f38_at_the_last_turn_no_tools_are_offered_and_what_was_read_is_kept(
    model: Scripted, run_id: UUID, site: GoldCompany
) -> None:
    role = dataclasses.replace(company_research.ROLE, turns_max=2)
    seen = (str(site.website),)
    async with model(opens(seen[0]), opens(seen[0])) as server:
        answer = await server.run(run_id, role=role, seen=seen)
        last = server.asked(1)
    assert "tools" not in last
    assert "Answer now" in last["input"][-1]["content"]
    assert (answer.stop, answer.output, len(answer.results)) == ("limit", None, 1)


async def test_f41_a_role_is_offered_only_its_own_tools(model: Scripted, run_id: UUID) -> None:
    role = dataclasses.replace(company_research.ROLE, tools=("fetch_page",))
    async with model(calls(("search_web", {"query": "x", "page": 1})), says(EMPTY_RESEARCH)) as server:
        await server.run(run_id, role=role)
        assert [tool["name"] for tool in server.asked(0)["tools"]] == ["fetch_page"]
        assert server.tool_outputs()[0]["reason"].startswith("no_such_tool")


async def test_f26_an_answer_with_a_nul_in_a_value_is_kept_without_it(model: Scripted, run_id: UUID) -> None:
    nameless = {"result_id": "r1", "quote": "words"}
    company = {
        "name": "A\x00cme",
        "url": None,
        "city": "Aus\x00tin",
        "state": None,
        "phone": None,
        "citation": nameless,
    }
    async with model(says({"companies": [company]})) as server:
        answer = await server.run(run_id, role=discovery.ROLE)
    assert isinstance(answer.output, DiscoveryOutput)
    assert (answer.output.companies[0].name, answer.output.companies[0].city) == ("Acme", "Austin")


@pytest.mark.parametrize("body", [b"", b"<html>gateway</html>", b"{}", b'{"output": null}', b"null"])
async def test_a_200_that_is_no_answer_of_a_model_is_a_typed_failure(
    model: Scripted, run_id: UUID, body: bytes
) -> None:
    async with model(Reply(body=body, headers={"content-type": "application/json"})) as server:
        with pytest.raises(ApplicationError) as caught:
            await server.run(run_id)
    assert caught.value.type == "ModelServerError"
    assert not caught.value.non_retryable
