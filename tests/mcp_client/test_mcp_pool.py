"""One session per MCP server and worker: shared, bounded, opened anew when lost, and gone without a trace at the end.

The servers are real ones: processes and sockets, made with the library's server side to die, hang and flood.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mcp_client.config import HttpServer, McpServer, McpSetupError, StdioServer
from mcp_client.http import HttpSigns, http_client
from mcp_client.pool import McpPool, opened
from tests.http_server import Reply, json_reply, serving
from tests.mcp_client.mcp_worlds import (
    LIMITS,
    MUTE,
    asked,
    free_port,
    is_running,
    odd_over_http,
    odd_server,
    process_of,
)


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[McpPool]:
    """A pool whose server is well in these tests."""
    async with opened([odd_server()], LIMITS) as pool:
        yield pool


async def refusal(server: McpServer, **limits: float) -> str:
    with pytest.raises(McpSetupError) as raised:
        async with opened([server], LIMITS.model_copy(update=limits)):
            pass
    return str(raised.value)


async def test_f62_calls_at_the_same_time_share_one_session_and_are_no_more_than_allowed(pool: McpPool) -> None:
    # Of eight calls that wait for four to be there, four and never more are there at a time.
    together = await asyncio.gather(*(asked(pool, "meet", calls=LIMITS.calls_max) for _ in range(8)))
    assert {answer.text for answer in together} == {f"process {await process_of(pool)} has met {LIMITS.calls_max}"}


async def test_f63_a_caller_that_is_cancelled_leaves_the_session_to_the_others(pool: McpPool) -> None:
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


async def test_a_huge_answer_is_too_large_and_costs_neither_memory_nor_the_session(pool: McpPool) -> None:
    before = await process_of(pool)
    assert (await asked(pool, "huge", size_bytes=LIMITS.bytes_max)).status == "ok"
    flood, other = await asyncio.gather(asked(pool, "huge", size_bytes=100_000_000), asked(pool, "count", what="x"))
    assert (flood.reason, other.status) == ("too_large", "ok")
    assert (await asked(pool, "huge", size_bytes=LIMITS.bytes_max + 1)).reason == "too_large"
    assert await process_of(pool) == before


async def test_a_server_gets_no_variable_of_ours_but_those_it_is_given(
    pool: McpPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = set((await asked(pool, "environment")).text.split())
    assert {"PATH", "PYTHONPATH"} <= names
    assert names <= {"PATH", "PYTHONPATH", "HOME", "LOGNAME", "SHELL", "TERM", "USER", "LC_CTYPE"}


def test_f41_tools_are_given_to_the_roles_that_are_configured_and_to_no_other(pool: McpPool) -> None:
    assert "mcp__odd__who" in {tool.function for tool in pool.tools_for("discovery")}
    assert pool.tools_for("contact_research") == ()


async def test_a_server_that_dies_or_hangs_is_started_anew_at_the_next_call_but_not_for_ever() -> None:
    limits = LIMITS.model_copy(update={"call_timeout_s": 2.0, "restarts_per_minute_max": 1})
    async with opened([odd_server()], limits) as pool:
        first = await process_of(pool)
        assert (await asked(pool, "die")).reason == "connection_lost"
        second = await process_of(pool)
        assert second != first
        slow = asyncio.create_task(asked(pool, "think"))
        while not slow.done():
            assert await process_of(pool) == second
        assert (await slow).reason == "timeout"
        assert await process_of(pool) == second, "one call that takes too long costs the others nothing"
        assert (await asked(pool, "hang")).reason == "timeout"
        for _ in range(2):
            assert (await asked(pool, "who")).reason == "unavailable"
        assert [is_running(pid) for pid in (first, second)] == [False, False]


async def test_only_allowed_tools_can_be_called_and_closed_nothing_is_left() -> None:
    async with opened([odd_server(tools=("who", "think"))], LIMITS) as pool:
        assert {tool.tool for tool in pool.tools_for("discovery")} == {"who", "think"}
        with pytest.raises(LookupError, match="allowed tool 'count'"):
            await asked(pool, "count", what="x")
        pid = await process_of(pool)
        waiting = asyncio.create_task(asked(pool, "think"))
        await process_of(pool)
    assert (await waiting).reason == "connection_lost"
    assert not is_running(pid)
    assert (await asked(pool, "who")).reason == "unavailable"


async def test_a_server_that_hangs_at_start_is_an_error_and_neither_it_nor_its_children_are_left(
    tmp_path: Path,
) -> None:
    note = tmp_path / "pids"
    mute = StdioServer(name="mute", roles=("discovery",), command=sys.executable, args=(MUTE, str(note)))
    assert await refusal(mute, start_timeout_s=2.0) == "MCP server 'mute': it did not answer in time"
    assert [is_running(int(pid)) for pid in note.read_text().split()] == [False, False]


async def test_a_server_that_ends_at_start_is_quoted() -> None:
    ends = StdioServer(
        name="ends", roles=("discovery",), command=sys.executable, args=(MUTE, "", "the licence has expired")
    )
    said = await refusal(ends)
    assert said == "MCP server 'ends': it ended before it was ready; it said: the licence has expired"


async def test_a_missing_command_is_named_and_the_other_servers_are_ended(tmp_path: Path) -> None:
    missing = StdioServer(name="gone", roles=("discovery",), command="no-such-command-at-all")
    assert "MCP server 'gone': its command was not found" in await refusal(missing)


async def test_over_http_a_session_is_shared_bounded_and_opened_anew_when_the_server_was_away() -> None:
    port = free_port()
    server = HttpServer(name="odd", roles=("discovery",), url=f"http://127.0.0.1:{port}/mcp")
    async with odd_over_http(port) as pid, opened([server], LIMITS) as pool:
        together = await asyncio.gather(asked(pool, "meet", calls=2), asked(pool, "meet", calls=2))
        assert {answer.text for answer in together} == {f"process {pid} has met 2"}
        said = await refusal(server.model_copy(update={"tools": ("who", "whom")}))
        assert "\"tools\" names 'whom', which it lacks; it has: count, die," in said  # LESSONS F59
        assert (await asked(pool, "huge", size_bytes=LIMITS.bytes_max)).status == "ok"
        assert (await asked(pool, "huge", size_bytes=30_000_000)).reason == "too_large"
        assert await process_of(pool) == pid
        assert (await asked(pool, "die")).reason == "connection_lost"
        assert (await asked(pool, "who")).reason == "unavailable"
        async with odd_over_http(port) as successor:
            assert await process_of(pool) == successor


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
async def test_over_http_an_error_stands_in_for_an_answer_that_is_too_large_and_the_rest_is_not_read(
    content_type: str,
) -> None:
    flood = Reply(body=b'data: {"result": "' + b"x" * 20_000_000 + b'"}\n\n', headers={"content-type": content_type})
    async with serving(lambda request: flood) as http:
        server = HttpServer(name="web", roles=("discovery",), url=http.url)
        async with http_client(server, timeout_s=30.0, bytes_max=200_000, signs=HttpSigns()) as client:
            answer = await client.post(http.url, json={"jsonrpc": "2.0", "id": 7, "method": "tools/call"})
    assert len(answer.content) < 1_000_000
    last = answer.text.rstrip().rpartition("data: ")[2]
    assert json.loads(last) == {"jsonrpc": "2.0", "id": 7, "error": {"code": 413, "message": "too large"}}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(after_s=60.0), "it did not answer in time"),
        (Reply(401), "HTTP 401: check url and headers"),
        (json_reply({"hello": "world"}), "it refused: "),
    ],
    ids=["hangs", "refuses", "is something else"],
)
async def test_an_address_that_is_no_mcp_server_is_an_error_that_says_what_it_does(reply: Reply, said: str) -> None:
    async with serving(lambda request: reply) as http:
        server = HttpServer(name="web", roles=("discovery",), url=f"{http.url}/mcp", headers={"X-Key": "k"})
        assert said in await refusal(server, start_timeout_s=0.5 if reply.after_s else 20.0)
        assert http.requests[0].headers["x-key"] == "k"


async def test_an_address_where_nobody_listens_is_an_error() -> None:
    nobody = HttpServer(name="web", roles=("discovery",), url=f"http://127.0.0.1:{free_port()}/mcp")
    assert "MCP server 'web': it cannot be reached" in await refusal(nobody)
