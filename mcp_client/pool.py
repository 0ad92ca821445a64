"""All MCP servers of a worker, with one session each. A lost session is opened again at the next call.

A call always returns an answer, even if the server is down, hangs or sends too much.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from pydantic import JsonValue

from mcp_client.answers import McpAnswer, McpTool
from mcp_client.config import McpServer, McpSetupError
from mcp_client.protocol import offered_tool
from mcp_client.session import McpLostError, McpUnavailableError, Session
from settings import Settings

log = structlog.get_logger()


@asynccontextmanager
async def open_pool(servers: Sequence[McpServer], settings: Settings) -> AsyncIterator["McpPool"]:
    """Start all servers and read their tools. Stop them when the block ends.

    Raises:
        McpSetupError: a server cannot be used, or lacks a tool that the configuration names.
    """
    pool = McpPool(servers, settings)
    try:
        started = await asyncio.gather(*(server.start() for server in pool.servers.values()), return_exceptions=True)
        failures = [outcome for outcome in started if outcome is not None]
        for failure in failures:
            if not isinstance(failure, (McpSetupError, McpUnavailableError)):
                raise failure
        if failures:
            raise McpSetupError("; ".join(map(str, failures)))
        yield pool
    finally:
        await asyncio.gather(*(server.close() for server in pool.servers.values()))


class McpPool:
    def __init__(self, servers: Sequence[McpServer], settings: Settings) -> None:
        self.servers = {server.name: _PooledServer(server, settings) for server in servers}

    def tools_for(self, role: str) -> tuple[McpTool, ...]:
        """Return the tools that an agent role may use. The list is read once, at the start."""
        return tuple(tool for server in self.servers.values() if role in server.config.roles for tool in server.tools)

    def requests_per_minute(self, server: str) -> float:
        """Return a server's limit for all workers together. 0 disables it."""
        return self.servers[server].config.requests_per_minute if server in self.servers else 0.0

    async def call(self, server: str, tool: str, args: dict[str, JsonValue]) -> McpAnswer:
        """Call a tool. A failure of the server is an answer.

        Raises:
            LookupError: the server or tool is not configured.
        """
        pooled = self.servers.get(server)
        if pooled is None or tool not in {each.tool for each in pooled.tools}:
            raise LookupError(f"no MCP server {server!r} with an allowed tool {tool!r} is configured")
        return await pooled.call(tool, args)


class _PooledServer:
    def __init__(self, config: McpServer, settings: Settings) -> None:
        self.config = config
        self.tools: tuple[McpTool, ...] = ()
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.mcp_calls_max)
        self._opening = asyncio.Lock()
        self._session: Session | None = None
        self._restarts: deque[float] = deque(maxlen=settings.mcp_restarts_per_minute_max)
        self._closed = False

    async def start(self) -> None:
        name, allowed = self.config.name, self.config.tools
        self._session = Session(self.config, self._settings)
        listed = {tool.name: tool for tool in await self._session.opened()}
        for tool in allowed or ():
            if tool not in listed:
                has = ", ".join(sorted(listed)) or "none"
                raise McpSetupError(f'MCP server {name!r}: "tools" names {tool!r}, which it lacks; it has: {has}')
        offered = (tool for tool in listed.values() if allowed is None or tool.name in allowed)
        self.tools = tuple(offered_tool(name, tool) for tool in offered)
        log.info("mcp_server_opened", server=name, tools=len(self.tools), roles=sorted(self.config.roles))

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def call(self, tool: str, args: dict[str, JsonValue]) -> McpAnswer:
        async with self._slots:
            try:
                try:
                    return await (await self._open_session()).call(tool, args)
                except McpLostError as error:
                    if not error.unsent:
                        raise
                    return await (await self._open_session()).call(tool, args)
            except McpLostError:
                return McpAnswer(status="error", reason="connection_lost")
            except McpUnavailableError as error:
                log.warning("mcp_server_unavailable", server=self.config.name, error=type(error).__name__)
                return McpAnswer(status="error", reason="unavailable")

    async def _open_session(self) -> Session:
        async with self._opening:
            if self._session is None or self._closed:
                raise McpUnavailableError("the pool is not open")
            if self._session.has_ended:
                await self._session.close()
                self._count_restart()
                log.info("mcp_server_restarted", server=self.config.name)
                self._session = Session(self.config, self._settings)
            await self._session.opened()
            return self._session

    def _count_restart(self) -> None:
        now = time.monotonic()
        full = len(self._restarts) == self._restarts.maxlen
        if self._closed or (full and (not self._restarts or now - self._restarts[0] < 60)):
            raise McpUnavailableError("it was restarted too often within a minute")
        self._restarts.append(now)
