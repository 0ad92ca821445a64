"""The protocol's reference server in TypeScript, started by npx, over both transports.

Needs node and, the first time, npm's registry; without them the tests are skipped with the reason. The reference server
in Python, ``mcp-server-fetch``, is in ``test_in_agents.py``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest

from mcp_client.pool import McpPool, open_pool
from tests.mcp_client.helpers import LIMITS, answering, free_port, http_server, is_running, stdio_server

EVERYTHING = "@modelcontextprotocol/server-everything@2026.8.31"
_DOWNLOAD_TIMEOUT_S = 100


@pytest.fixture(scope="session")
def everything() -> tuple[str, ...]:
    """The arguments of npx that start the server, once it is in npx's cache."""
    if shutil.which("npx") is None:
        pytest.skip("node is missing (npx): install node 20 or newer to run this test")
    fetched = ["npx", "--yes", "--prefer-offline", f"--package={EVERYTHING}", "--", "node", "--version"]
    try:
        done = subprocess.run(fetched, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{EVERYTHING} could not be downloaded within {_DOWNLOAD_TIMEOUT_S} s")
    if done.returncode != 0:
        pytest.skip(f"{EVERYTHING} could not be downloaded (is npm's registry reachable?): {done.stderr[-200:]}")
    return ("--yes", "--prefer-offline", EVERYTHING)


@asynccontextmanager
async def everything_over_http(everything: tuple[str, ...]) -> AsyncIterator[str]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *("npx", *everything, "streamableHttp"),
        env={**os.environ, "PORT": str(port)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await answering(f"http://127.0.0.1:{port}/", process)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def check_calls(pool: McpPool) -> None:
    tools = {tool.tool: tool for tool in pool.tools_for("discovery")}
    assert tools["echo"].input_schema["required"] == ["message"]
    assert (await pool.call("everything", "echo", {"message": "Grüße"})).text == "Echo: Grüße"
    together = await asyncio.gather(*(pool.call("everything", "get-sum", {"a": n, "b": 1}) for n in range(8)))
    assert [answer.text for answer in together] == [f"The sum of {n} and 1 is {n + 1}." for n in range(8)]
    wrong = await pool.call("everything", "get-sum", {"a": "many"})
    assert wrong.status == "error"
    assert wrong.reason in {"tool_error", "refused"}
    links = await pool.call("everything", "get-resource-links", {"count": 2})
    assert "demo://resource/" in links.text
    weather = await pool.call("everything", "get-structured-content", {"location": "Chicago"})
    assert '"temperature"' in weather.text
    huge = await pool.call("everything", "echo", {"message": "x" * 9 * LIMITS.page_bytes_max})
    assert huge.reason == "too_large"
    assert (await pool.call("everything", "echo", {"message": "still here"})).status == "ok"


async def test_over_stdio_no_process_of_npx_is_left(everything: tuple[str, ...]) -> None:
    server = stdio_server("everything", "npx", *everything, "stdio")
    before = set(psutil.Process().children(recursive=True))
    async with open_pool([server], LIMITS) as pool:
        started = set(psutil.Process().children(recursive=True)) - before
        assert len(started) > 1, "npx starts the server as a process of its own"
        await check_calls(pool)
    assert [process.pid for process in started if is_running(process.pid)] == []


async def test_over_streamable_http(everything: tuple[str, ...]) -> None:
    async with everything_over_http(everything) as url:
        server = http_server("everything", url)
        async with open_pool([server], LIMITS) as pool:
            await check_calls(pool)
