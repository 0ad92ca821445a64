"""All MCP servers of a worker: one session for each, opened at start, opened anew when lost, closed at the end.

What a call comes to is always an answer, never an exception: a server that is away, hangs or sends too much is a result like any other.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from mcp_types import Tool
from pydantic import JsonValue

from mcp_client.answers import McpAnswer, McpTool
from mcp_client.config import McpServer, McpSetupError, parse_servers
from mcp_client.protocol import offered_tool, read_answer
from mcp_client.session import McpCallError, McpLimits, McpLostError, McpUnavailableError, Session

log = structlog.get_logger()

_MINUTE_S = 60.0
_REFUSAL_MAX = 2000  # characters of an error message that are kept


class McpPool:
    """The sessions of one worker."""

    def __init__(self, servers: Sequence[McpServer], limits: McpLimits) -> None:
        self._servers = {server.name: _PooledServer(server, limits) for server in servers}

    async def open(self) -> None:
        """Start all servers at the same time and read their tools.

        Raises:
            McpSetupError: one cannot be used; the message says which, why, and of a tool that it lacks which it has.
        """
        outcomes = await asyncio.gather(*(server.start() for server in self._servers.values()), return_exceptions=True)
        failures = [outcome for outcome in outcomes if outcome is not None]
        for failure in failures:
            if not isinstance(failure, (McpSetupError, McpUnavailableError)):
                raise failure
        if failures:
            raise McpSetupError("; ".join(map(str, failures)))

    async def close(self) -> None:
        """End all sessions; no process that they started is left."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    def tools_for(self, role: str) -> tuple[McpTool, ...]:
        """The tools that the configuration gives to an agent role, as read when the pool was opened."""
        return tuple(tool for server in self._servers.values() if role in server.roles for tool in server.tools)

    def requests_per_minute(self, server: str) -> float:
        """How often the configuration lets a server be asked, by all workers together; 0: without limit."""
        pooled = self._servers.get(server)
        return pooled.requests_per_minute if pooled else 0.0

    async def call(self, server: str, tool: str, args: dict[str, JsonValue]) -> McpAnswer:
        """Call a tool; failures are answers.

        Raises:
            LookupError: there is no such server, or the configuration does not allow the tool.
        """
        pooled = self._servers.get(server)
        if pooled is None or tool not in {each.tool for each in pooled.tools}:
            raise LookupError(f"no MCP server {server!r} with an allowed tool {tool!r} is configured")
        return await pooled.call(tool, args)


@asynccontextmanager
async def open_pool(
    path: Path, environment: Mapping[str, str], roles: Collection[str], limits: McpLimits
) -> AsyncIterator[McpPool]:
    """The pool for a configuration file, open; closed at the end.

    Raises:
        McpSetupError: the file or a server cannot be used; the message says what to do.
    """
    async with opened(await asyncio.to_thread(read_servers, path, environment, roles), limits) as pool:
        yield pool


@asynccontextmanager
async def opened(servers: Sequence[McpServer], limits: McpLimits) -> AsyncIterator[McpPool]:
    """A pool of these servers, open; closed at the end.

    Raises:
        McpSetupError: as ``McpPool.open``.
    """
    pool = McpPool(servers, limits)
    try:
        await pool.open()
        yield pool
    finally:
        await pool.close()


def read_servers(path: Path, environment: Mapping[str, str], roles: Collection[str]) -> tuple[McpServer, ...]:
    """The servers that a file configures.

    Raises:
        McpSetupError: it cannot be read or understood.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise McpSetupError(f"MCP_CONFIG: {path} cannot be read: {why}") from error
    return parse_servers(text, source=f"MCP_CONFIG {path}", environment=environment, roles=roles)


class _PooledServer:
    """A server and its session of the moment."""

    def __init__(self, server: McpServer, limits: McpLimits) -> None:
        self.roles = frozenset(server.roles)
        self.requests_per_minute = server.requests_per_minute
        self.tools: tuple[McpTool, ...] = ()
        self._server = server
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.calls_max)
        self._opening = asyncio.Lock()
        self._session: Session | None = None
        self._restarts: deque[float] = deque(maxlen=limits.restarts_per_minute_max)
        self._closed = False

    async def start(self) -> None:
        self._session = Session(self._server, self._limits)
        listed = await self._session.opened()
        self.tools = tuple(offered_tool(self._server.name, tool) for tool in self._allowed(listed))
        log.info("mcp_server_opened", server=self._server.name, tools=len(self.tools), roles=sorted(self.roles))

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def call(self, tool: str, args: dict[str, JsonValue]) -> McpAnswer:
        async with self._slots:
            try:
                try:
                    result = await (await self._open_session()).call(tool, args)
                except McpLostError as error:
                    if not error.unsent:
                        return McpAnswer(status="error", reason="connection_lost")
                    result = await (await self._open_session()).call(tool, args)
            except McpLostError:
                return McpAnswer(status="error", reason="connection_lost")
            except McpUnavailableError as error:
                log.warning("mcp_server_unavailable", server=self._server.name, error=type(error).__name__)
                return McpAnswer(status="error", reason="unavailable")
            except McpCallError as error:
                text = error.text[:_REFUSAL_MAX]
                return McpAnswer(status="error", reason=error.reason, text=text, retry_after_s=error.retry_after_s)
        return read_answer(result, self._limits.bytes_max)

    async def _open_session(self) -> Session:
        async with self._opening:
            if self._session is not None and self._session.has_ended:
                await self._session.close()
                self._count_restart()
                log.info("mcp_server_restarted", server=self._server.name)
                self._session = Session(self._server, self._limits)
            if self._session is None or self._closed:
                raise McpUnavailableError("the pool is not open")
            await self._session.opened()
            return self._session

    def _count_restart(self) -> None:
        now = time.monotonic()
        if self._closed:
            raise McpUnavailableError("the pool is closed")
        if self._restarts.maxlen == 0 or (
            len(self._restarts) == self._restarts.maxlen and now - self._restarts[0] < _MINUTE_S
        ):
            raise McpUnavailableError("it was restarted too often within a minute")
        self._restarts.append(now)

    def _allowed(self, listed: Sequence[Tool]) -> list[Tool]:
        names = [tool.name for tool in listed]
        for name in self._server.tools or ():
            if name not in names:
                has = ", ".join(sorted(names)) or "none"
                raise McpSetupError(
                    f'MCP server {self._server.name!r}: "tools" names {name!r}, which it lacks; it has: {has}'
                )
        return [tool for tool in listed if self._server.tools is None or tool.name in self._server.tools]
