"""Pools of real MCP servers for tests, and whether their processes still run."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil

from mcp_client.answers import McpAnswer
from mcp_client.config import HttpServer, StdioServer
from mcp_client.pool import McpPool
from settings import Settings
from tests.conftest import PROJECT

LIMITS = Settings(
    _env_file=None,
    page_bytes_max=100_000,
    mcp_start_timeout_s=60.0,
    mcp_call_timeout_s=30.0,
    mcp_calls_max=4,
    mcp_restarts_per_minute_max=2,
)
MUTE = str(Path(__file__).with_name("servers") / "mute.py")
_ODD = "tests.mcp_client.servers.odd"
ODD_ENTRY: dict[str, Any] = {
    "command": sys.executable,
    "args": ["-m", _ODD, "stdio"],
    "env": {"PYTHONPATH": str(PROJECT)},  # a child inherits none of our variables
    "roles": ["discovery"],
}


def odd_server(**changes: Any) -> StdioServer:
    """The server whose tools misbehave, as a child process."""
    return StdioServer.model_validate({"name": "odd", **ODD_ENTRY, **changes})


def stdio_server(name: str, command: str, *args: str) -> StdioServer:
    return StdioServer(name=name, roles=("discovery",), command=command, args=args)


def http_server(name: str, url: str, **fields: Any) -> HttpServer:
    return HttpServer(name=name, roles=("discovery",), url=url, **fields)


@asynccontextmanager
async def odd_over_http(port: int) -> AsyncIterator[int]:
    """The same server over HTTP; yields its process id."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", _ODD, "http", str(port), cwd=PROJECT)
    try:
        await answering(f"http://127.0.0.1:{port}/", process)
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def answering(url: str, process: asyncio.subprocess.Process) -> None:
    """Wait until a new server answers, with any status."""
    async with asyncio.timeout(60), httpx2.AsyncClient(trust_env=False) as http:
        while True:
            assert process.returncode is None, f"the server ended with {process.returncode}"
            try:
                await http.get(url)
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def asked(pool: McpPool, tool: str, **args: Any) -> McpAnswer:
    """Call a tool of the odd server."""
    return await pool.call("odd", tool, args)


async def process_of(pool: McpPool) -> int:
    """The process that answers."""
    answer = await asked(pool, "who")
    assert answer.status == "ok", answer
    return int(answer.text.removeprefix("process "))


def is_running(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
