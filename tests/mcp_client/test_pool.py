"""One session per server: shared, limited, opened again when lost, and gone at the end.

The servers are real processes that die, hang and flood.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, PARSE_ERROR

from mcp_client.config import McpServer, McpSetupError
from mcp_client.pool import McpPool, open_pool
from mcp_client.transport import is_too_large
from tests.http_server import Reply, json_reply, serving
from tests.local.stack_helpers import eventually
from tests.mcp_client.helpers import (
    LIMITS,
    MUTE,
    asked,
    free_port,
    http_server,
    is_running,
    odd_over_http,
    odd_server,
    process_of,
    stdio_server,
)


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[McpPool]:
    """For tests that leave the server running."""
    async with open_pool([odd_server()], LIMITS) as pool:
        yield pool


async def setup_error(server: McpServer, **limits: float) -> str:
    with pytest.raises(McpSetupError) as raised:
        async with open_pool([server], LIMITS.model_copy(update=limits)):
            pass
    return str(raised.value)


async def test_calls_share_a_session_up_to_the_limit(pool: McpPool) -> None:
    # Each call waits until four are there, so four at a time are needed and never more are seen.
    together = await asyncio.gather(*(asked(pool, "meet", calls=LIMITS.mcp_calls_max) for _ in range(8)))
    assert {answer.text for answer in together} == {f"process {await process_of(pool)} has met {LIMITS.mcp_calls_max}"}


async def test_a_cancelled_caller_leaves_the_session_open(pool: McpPool) -> None:
    before = await process_of(pool)
    impatient = asyncio.create_task(asked(pool, "think"))
    await process_of(pool)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert await process_of(pool) == before


async def test_answers_are_typed(pool: McpPool) -> None:
    failed = await asked(pool, "failing")
    assert (failed.status, failed.reason) == ("error", "tool_error")
    assert "no such company: try another spelling" in failed.text
    assert (await asked(pool, "picture")).status == "empty"
    wrong = await asked(pool, "count", wat=1)
    assert (wrong.status, wrong.reason) == ("error", "tool_error")


async def test_a_too_large_answer_costs_only_its_call(pool: McpPool) -> None:
    before = await process_of(pool)
    assert (await asked(pool, "huge", size_bytes=LIMITS.page_bytes_max)).status == "ok"
    assert (await asked(pool, "huge", size_bytes=LIMITS.page_bytes_max + 1)).reason == "too_large"
    assert await process_of(pool) == before


async def test_a_child_gets_none_of_our_variables(pool: McpPool) -> None:
    names = set((await asked(pool, "environment")).text.split())
    assert {"PATH", "PYTHONPATH"} <= names
    assert names <= {"PATH", "PYTHONPATH", "HOME", "LOGNAME", "SHELL", "TERM", "USER", "LC_CTYPE"}


def test_only_configured_roles_get_tools(pool: McpPool) -> None:
    assert "mcp__odd__who" in {tool.function for tool in pool.tools_for("discovery")}
    assert pool.tools_for("contact_research") == ()


async def test_a_lost_server_is_opened_again_within_the_limit() -> None:
    limits = LIMITS.model_copy(update={"mcp_call_timeout_s": 2.0, "mcp_restarts_per_minute_max": 2})
    async with open_pool([odd_server()], limits) as pool:
        first = await process_of(pool)
        assert (await asked(pool, "die")).reason == "connection_lost"
        second = await process_of(pool)
        assert second != first
        psutil.Process(second).kill()
        session = pool.servers["odd"]._session
        assert session is not None
        assert await eventually(lambda: session.has_ended, within_s=5)
        third = await process_of(pool)
        assert third != second, "a server that dies between two calls costs none of them"
        slow = asyncio.create_task(asked(pool, "think"))
        while not slow.done():
            assert await process_of(pool) == third
        assert (await slow).reason == "timeout"
        assert await process_of(pool) == third, "a slow call costs the other calls nothing"
        assert (await asked(pool, "hang")).reason == "timeout"
        for _ in range(2):
            assert (await asked(pool, "who")).reason == "unavailable"
        assert not any(map(is_running, (first, second, third)))


async def test_only_allowed_tools_can_be_called() -> None:
    async with open_pool([odd_server(tools=("who", "think"))], LIMITS) as pool:
        assert {tool.tool for tool in pool.tools_for("discovery")} == {"who", "think"}
        with pytest.raises(LookupError, match="allowed tool 'count'"):
            await asked(pool, "count", what="x")


async def test_closing_ends_calls_and_processes() -> None:
    async with open_pool([odd_server()], LIMITS) as pool:
        pid = await process_of(pool)
        waiting = asyncio.create_task(asked(pool, "think"))
        await process_of(pool)
    assert (await waiting).reason == "connection_lost"
    assert not is_running(pid)
    assert (await asked(pool, "who")).reason == "unavailable"


async def test_a_server_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    mute = stdio_server("mute", sys.executable, MUTE, str(note))
    assert await setup_error(mute, mcp_start_timeout_s=2.0) == "MCP server 'mute': it did not answer in time"
    assert [is_running(int(pid)) for pid in note.read_text().split()] == [False, False]


async def test_a_server_that_ends_at_start_is_quoted() -> None:
    ends = stdio_server("ends", sys.executable, MUTE, "", "the licence has expired")
    said = await setup_error(ends)
    assert said == "MCP server 'ends': it ended before it was ready; it said: the licence has expired"


async def test_a_missing_command_is_named() -> None:
    assert "MCP server 'gone': its command was not found" in await setup_error(stdio_server("gone", "no-such-command"))


async def test_http_sessions_are_shared_limited_and_opened_again() -> None:
    port = free_port()
    server = http_server("odd", f"http://127.0.0.1:{port}/mcp")
    async with odd_over_http(port) as pid, open_pool([server], LIMITS) as pool:
        together = await asyncio.gather(asked(pool, "meet", calls=2), asked(pool, "meet", calls=2))
        assert {answer.text for answer in together} == {f"process {pid} has met 2"}
        said = await setup_error(server.model_copy(update={"tools": ("who", "whom")}))
        assert "\"tools\" names 'whom', which it lacks; it has: count, die," in said
        assert (await asked(pool, "huge", size_bytes=LIMITS.page_bytes_max)).status == "ok"
        flood, other = await asyncio.gather(asked(pool, "huge", size_bytes=30_000_000), asked(pool, "count", what="x"))
        assert (flood.reason, other.status) == ("too_large", "ok")
        assert await process_of(pool) == pid
        assert (await asked(pool, "die")).reason == "connection_lost"
        assert (await asked(pool, "who")).reason == "unavailable"
        async with odd_over_http(port) as successor:
            assert await process_of(pool) == successor


async def test_a_call_is_sent_again_to_a_restarted_http_server() -> None:
    port = free_port()
    server = http_server("odd", f"http://127.0.0.1:{port}/mcp")
    async with odd_over_http(port) as first:
        pool_context = open_pool([server], LIMITS)
        pool = await pool_context.__aenter__()
        assert await process_of(pool) == first
    try:
        async with odd_over_http(port) as second:
            assert await process_of(pool) == second, "it never worked on the first attempt"
    finally:
        await pool_context.__aexit__(None, None, None)


async def test_a_too_large_json_answer_is_not_read_to_its_end() -> None:
    sent = {"jsonrpc": "2.0", "id": 1, "result": "x" * 5 * LIMITS.page_bytes_max}
    async with serving(lambda request: json_reply(sent)) as http:
        said = await setup_error(http_server("web", http.url))
    assert re.search(r"it refused: Failed to parse JSON response: the answer exceeded the \d+ byte limit$", said)


@pytest.mark.parametrize(
    ("code", "text", "holds"),
    [
        (CONNECTION_CLOSED, "SSE stream failed: Server-sent event exceeded the 265536 byte limit.", True),
        (PARSE_ERROR, "Failed to parse JSON response: the answer exceeded the 265536 byte limit", True),
        (INTERNAL_ERROR, "the file exceeds the 1000 byte limit", False),
        (PARSE_ERROR, "the query exceeded the 1000 byte limit", False),
    ],
)
def test_a_server_error_about_a_byte_limit_is_not_ours(code: int, text: str, holds: bool) -> None:
    assert is_too_large(MCPError(code, text)) is holds


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(after_s=60.0), "it did not answer in time"),
        (Reply(401), "HTTP 401: check url and headers"),
        (json_reply({"hello": "world"}), "it refused: "),
    ],
    ids=["hangs", "refuses", "is something else"],
)
async def test_an_address_without_an_mcp_server_is_an_error(reply: Reply, said: str) -> None:
    async with serving(lambda request: reply) as http:
        server = http_server("web", f"{http.url}/mcp", headers={"X-Key": "k"})
        assert said in await setup_error(server, mcp_start_timeout_s=0.5 if reply.after_s else 20.0)
        assert http.requests[0].headers["x-key"] == "k"


async def test_an_address_where_nobody_listens_is_an_error() -> None:
    nobody = http_server("web", f"http://127.0.0.1:{free_port()}/mcp")
    assert "MCP server 'web': it cannot be reached" in await setup_error(nobody)
