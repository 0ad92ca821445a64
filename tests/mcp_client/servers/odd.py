"""A real MCP server whose tools fail, hang, die and flood.

``python -m tests.mcp_client.servers.odd stdio`` or ``… http PORT``.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ImageContent, TextContent

server = MCPServer("odd", log_level="ERROR")
_waiting: list[asyncio.Event] = []
_met = {"now": 0, "most": 0}
_counted: list[str] = []


@server.tool()
async def who() -> str:
    """Names the process that answers."""
    return f"process {os.getpid()}"


@server.tool()
async def count(what: str) -> str:
    """Says how often it was asked."""
    _counted.append(what)
    return f"asked {len(_counted)} times"


@server.tool()
async def meet(calls: int) -> str:
    """Answers when so many calls are waiting; says how many ever waited."""
    _met["now"] += 1
    _met["most"] = max(_met.values())
    here = asyncio.Event()
    _waiting.append(here)
    if len(_waiting) >= calls:
        for each in _waiting:
            each.set()
        _waiting.clear()
    await here.wait()
    await asyncio.sleep(0.1)  # so that one call too many would be seen
    _met["now"] -= 1
    return f"process {os.getpid()} has met {_met['most']}"


@server.tool()
async def environment() -> str:
    """The names of the variables that this process got."""
    return " ".join(sorted(os.environ))


@server.tool()
async def die() -> str:
    """Ends the process in the middle of a call."""
    os._exit(3)


@server.tool()
async def hang() -> str:
    """Blocks the whole process."""
    time.sleep(3600)  # noqa: ASYNC251 - it is meant to block
    return ""


@server.tool()
async def think() -> str:
    """Takes too long without blocking other calls."""
    await asyncio.sleep(3600)
    return ""


@server.tool(structured_output=False)
async def huge(size_bytes: int) -> str:
    """A long text."""
    return "x" * size_bytes


@server.tool()
async def failing() -> str:
    """Fails as tools do."""
    raise ToolError("no such company: try another spelling")


@server.tool()
async def picture() -> CallToolResult:
    """An image without text."""
    return CallToolResult(content=[ImageContent(type="image", data="AAAA", mime_type="image/png")])


@server.tool(name="find.companies")
async def find_companies(query: str) -> CallToolResult:
    """Finds companies. Its name is not a valid function name."""
    text = (
        f"Results for {query}\x00\n\n"
        "Acme Homes\nhttp://acme.example/about\nManages 1,200 homes in Austin.\n\n"
        "Both: http://one.example/ and http://two.example/."
    )
    return CallToolResult(content=[TextContent(type="text", text=text)])


def main() -> None:
    if sys.argv[1] == "http":
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
    sys.stdout.write("hello from a server that greets\n")
    sys.stdout.flush()
    server.run("stdio")


if __name__ == "__main__":
    main()
