"""MCP tools in use: cached like every result, offered to the configured roles, quoted as evidence."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import openai
import psutil
import pytest
from pydantic import JsonValue, SecretStr

from agents.loop import AgentRunner
from agents.role import ROLE_NAMES
from agents.roles import company_research, discovery
from domain.evidence import Citation
from grounding.quotes import Grounder
from mcp_client.pool import McpPool, open_pool
from runtime.process import UserError
from runtime.worker import open_activities
from search.backend import SearchBackend
from settings import Settings
from store.database import Database
from store.tools import tool_results
from tests.agents.scripted_model import EMPTY_RESEARCH, Model, calls, says, scripted
from tests.conftest import model_client
from tests.http_server import html, serving
from tests.mcp_client.helpers import LIMITS, ODD_ENTRY, is_running, odd_server, process_of, stdio_server
from tests.store.rows import add_run
from usecases.doctor import examine
from web.fetch import WebClient
from web.gateway import ToolGateway

NO_COMPANIES: dict[str, Any] = {"companies": []}
SEARCH = "find.companies"


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[McpPool]:
    async with open_pool([odd_server()], LIMITS) as pool:
        yield pool


@pytest.fixture
def mcp_gateway(
    database: Database, demo_web: WebClient, demo_search: SearchBackend, settings: Settings, pool: McpPool
) -> ToolGateway:
    return ToolGateway(database, demo_web, demo_search, settings, pool)


@pytest.fixture
async def run_id(database: Database) -> UUID:
    async with database.transaction() as conn:
        return (await add_run(conn)).run_id


@pytest.fixture
async def runner_for(
    database: Database, mcp_gateway: ToolGateway, settings: Settings, pool: McpPool
) -> AsyncIterator[Callable[[Model], AgentRunner]]:
    """Makes runners on a scripted model, with the pool's tools."""
    clients: list[openai.AsyncOpenAI] = []

    def made(model: Model) -> AgentRunner:
        changed = settings.model_copy(
            update={
                "openai_base_url": f"{model.server.url}/v1",
                "openai_api_key": SecretStr("x"),
                "openai_model": "scripted",
            }
        )
        tools = {role: pool.tools_for(role) for role in ROLE_NAMES}
        clients.append(model_client(changed))
        return AgentRunner(clients[-1], mcp_gateway, database, changed, tools)

    yield made
    for client in clients:
        await client.close()


def function_of(pool: McpPool, tool: str) -> str:
    return next(each.function for each in pool.tools_for("discovery") if each.tool == tool)


async def kept_s(database: Database, result_id: str) -> int:
    async with database.transaction() as conn:
        cursor = await conn.execute(
            "SELECT extract(epoch FROM expires_at - fetched_at)::int AS kept_s FROM tool_results WHERE result_id = %s",
            (result_id,),
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row["kept_s"])


async def test_the_same_call_reaches_the_server_once(mcp_gateway: ToolGateway, database: Database) -> None:
    first = await mcp_gateway.call_mcp("odd", "count", {"what": "a"})
    assert await mcp_gateway.call_mcp("odd", "count", {"what": "a"}) == first
    other = await mcp_gateway.call_mcp("odd", "count", {"what": "b"})
    assert (first.tool, first.status, first.text) == ("mcp:odd:count", "ok", "asked 1 times")
    assert other.text == "asked 2 times"
    assert await kept_s(database, first.result_id) == 24 * 3600


async def test_tool_failures_are_cached_briefly_server_failures_never(
    mcp_gateway: ToolGateway, database: Database, settings: Settings, pool: McpPool
) -> None:
    failed = await mcp_gateway.call_mcp("odd", "failing", {})
    assert (failed.status, failed.reason) == ("error", "tool_error")
    assert await kept_s(database, failed.result_id) == settings.failure_ttl_minutes * 60
    before = await process_of(pool)
    lost = await mcp_gateway.call_mcp("odd", "die", {})
    assert (lost.status, lost.reason) == ("error", "connection_lost")
    assert await kept_s(database, lost.result_id) == 0
    assert await process_of(pool) != before


async def test_unstorable_characters_are_removed(mcp_gateway: ToolGateway, database: Database) -> None:
    result = await mcp_gateway.call_mcp("odd", SEARCH, {"query": "a\x00b\ud800"})
    async with database.transaction() as conn:
        stored = (await tool_results.get_results(conn, [result.result_id]))[result.result_id]
    assert stored == result
    assert stored.args == {"query": "ab"}
    assert "Results for ab\n" in stored.text


async def test_the_text_of_a_result_is_evidence_with_its_address(mcp_gateway: ToolGateway) -> None:
    result = await mcp_gateway.call_mcp("odd", SEARCH, {"query": "Austin"})
    grounder = Grounder({result.result_id: result})
    proof = grounder.prove(Citation(result_id=result.result_id, quote="Acme Homes"), values=["Acme Homes"])
    assert (proof.url, proof.quote) == ("http://acme.example/about", "Acme Homes")
    assert (
        grounder.attempt("company", grounder.prove, Citation(result_id=result.result_id, quote="Acme Houses")) is None
    )
    # Only a company's own page proves its units, not a server's text about that page.
    citation = Citation(result_id=result.result_id, quote="Manages 1,200 homes")
    assert grounder.attempt("units", grounder.prove, citation, company_domains=frozenset({"acme.example"})) is None


async def test_only_the_configured_role_can_call_a_tool(
    database: Database,
    mcp_gateway: ToolGateway,
    settings: Settings,
    pool: McpPool,
    run_id: UUID,
    runner_for: Callable[[Model], AgentRunner],
) -> None:
    script = (says(NO_COMPANIES), calls((function_of(pool, "who"), {})), says(EMPTY_RESEARCH))
    async with scripted(database, mcp_gateway, settings, *script) as model:
        await model.run(run_id, role=discovery.ROLE, runner=runner_for(model))
        await model.run(run_id, role=company_research.ROLE, runner=runner_for(model))
        offered = {tool["name"]: tool for tool in model.asked(0)["tools"]}
        others = {tool["name"] for tool in model.asked(1)["tools"]}
        refused = model.tool_outputs()[0]
    assert offered.keys() == {"search_web", "fetch_page", *(tool.function for tool in pool.tools_for("discovery"))}
    count = offered["mcp__odd__count"]
    assert (count["strict"], count["description"]) == (False, "Says how often it was asked.")
    assert count["parameters"]["required"] == ["what"]
    assert others == {"search_web", "fetch_page"}
    assert refused["reason"].startswith("no_such_tool")


async def test_a_result_can_be_cited_and_its_addresses_opened(
    database: Database,
    mcp_gateway: ToolGateway,
    settings: Settings,
    pool: McpPool,
    run_id: UUID,
    runner_for: Callable[[Model], AgentRunner],
) -> None:
    script = (
        calls((function_of(pool, SEARCH), {"query": "Austin"})),
        calls(
            ("fetch_page", {"url": "http://acme.example/about"}), ("fetch_page", {"url": "http://acme.example/team"})
        ),
        says(NO_COMPANIES),
    )
    async with scripted(database, mcp_gateway, settings, *script) as model:
        answer = await model.run(run_id, role=discovery.ROLE, runner=runner_for(model))
        found, seen, unseen = model.tool_outputs()
        again = await model.run(run_id, role=discovery.ROLE, runner=runner_for(model))
        assert model.bought == 3, "a second run costs nothing: turns and results are stored"
    assert "Manages 1,200 homes" in found["text"]
    assert found["result_id"] in answer.results
    assert again.results.keys() == answer.results.keys()
    assert not str(seen["reason"]).startswith("address_not_seen")
    assert unseen["reason"].startswith("address_not_seen")


@pytest.mark.parametrize("arguments", ["[1]", '"x"', "{", '{"what": NaN}', '{"what": 1e999}', "[" * 5000])
async def test_arguments_that_are_not_a_json_object_are_refused(
    arguments: str,
    database: Database,
    mcp_gateway: ToolGateway,
    settings: Settings,
    run_id: UUID,
    runner_for: Callable[[Model], AgentRunner],
) -> None:
    script = (calls(("mcp__odd__count", arguments)), says(NO_COMPANIES))
    async with scripted(database, mcp_gateway, settings, *script) as model:
        answer = await model.run(run_id, role=discovery.ROLE, runner=runner_for(model))
        assert model.tool_outputs()[0]["reason"].startswith("bad_arguments")
    assert answer.results == {}


async def test_a_page_from_the_fetch_server_keeps_its_address(
    database: Database, demo_web: WebClient, settings: Settings
) -> None:
    options = ("--ignore-robots-txt", "--allow-private-ips")
    server = stdio_server("fetch", sys.executable, "-m", "mcp_server_fetch", *options)
    page = html("<title>Acme</title><p>Acme manages 1,200 homes in Austin.</p>")
    async with serving(lambda request: page) as web, open_pool([server], LIMITS) as pool:
        gateway = ToolGateway(database, demo_web, None, settings, pool)
        # Raw, because simplifying a page needs node, which this server looks for at each call.
        asked: dict[str, JsonValue] = {"url": f"{web.url}/about", "raw": True}
        first = await gateway.call_mcp("fetch", "fetch", asked)
        assert await gateway.call_mcp("fetch", "fetch", asked) == first
        assert web.targets == ["/about"]
        wrong = await gateway.call_mcp("fetch", "fetch", {"url": "no address"})
    assert (first.tool, first.status, wrong.status) == ("mcp:fetch:fetch", "ok", "error")
    citation = Citation(result_id=first.result_id, quote="Acme manages 1,200 homes in Austin.")
    proof = Grounder({first.result_id: first}).prove(citation)
    assert proof.url == asked["url"]


@pytest.fixture
def configured(settings: Settings, tmp_path: Path) -> Callable[[dict[str, Any]], Settings]:
    def made(servers: dict[str, Any]) -> Settings:
        path = tmp_path / "mcp.json"
        path.write_text(json.dumps({"mcpServers": servers}))
        return settings.model_copy(update={"mcp_config": path})

    return made


def children() -> set[int]:
    """Process ids of the odd servers that this process started."""
    return {child.pid for child in psutil.Process().children() if "odd" in " ".join(child.cmdline())}


async def test_a_worker_starts_and_ends_its_servers(
    configured: Callable[[dict[str, Any]], Settings], database_url: str
) -> None:
    before = children()
    async with open_activities(configured({"odd": ODD_ENTRY}), database_url):
        (pid,) = children() - before
        assert is_running(pid)
    assert not is_running(pid)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({**ODD_ENTRY, "comand": "x"}, "'comand' is not a key of a stdio server; did you mean 'command'"),
        ({**ODD_ENTRY, "command": "no-such-command-at-all"}, "its command was not found"),
    ],
    ids=["broken file", "missing command"],
)
async def test_a_worker_refuses_to_start_and_doctor_says_why(
    entry: dict[str, Any], said: str, configured: Callable[[dict[str, Any]], Settings], database_url: str
) -> None:
    with pytest.raises(UserError, match=said) as raised:
        async with open_activities(configured({"odd": entry}), database_url):
            pass
    assert raised.value.exit_code == 2
    finding = next(each for each in await examine(configured({"odd": entry})) if each.part.startswith("mcp"))
    assert not finding.ok
    assert said in finding.detail


async def test_doctor_shows_each_server_with_its_tool_count(
    configured: Callable[[dict[str, Any]], Settings],
) -> None:
    entry = {**ODD_ENTRY, "tools": ["who", "count"], "roles": ["discovery", "company_research"]}
    findings = {each.part: each for each in await examine(configured({"odd": entry}))}
    assert findings["mcp odd"].ok
    assert findings["mcp odd"].detail == "answers, 2 tools for discovery, company_research"
    assert sys.executable not in findings["mcp odd"].detail
