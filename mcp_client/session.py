"""One session with one MCP server, entered and left by one task of its own.

The library's cancel scopes must be left by the task that entered them, so a session lives in a task and others only send calls
through it. It ends when it is closed, when the server goes away, or when the server no longer answers; it is never mended:
``pool.py`` opens the next one.
"""

import asyncio
import contextlib
import logging
import math
from typing import Self

import anyio
import httpx2
import structlog
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, CallToolResult, Implementation, Tool
from pydantic import BaseModel, ConfigDict, JsonValue

from mcp_client.config import HttpServer, McpServer
from mcp_client.http import HttpSigns, http_client
from mcp_client.stdio import TOO_LARGE, StderrTail, open_process
from settings import Settings

log = structlog.get_logger()

# The library logs messages that it cannot read in full; they hold whatever a server sent.
logging.getLogger("mcp.client").setLevel(logging.CRITICAL)

_CLOSE_TIMEOUT_S = 5.0
_TOOL_PAGES_MAX = 50
_CLIENT = Implementation(name="pm-pipeline", version="0.1")


class McpLimits(BaseModel):
    """What a server may take.

    Attributes:
        bytes_max: of the text of one answer.
        calls_max: calls that one server works on at a time; further ones wait.
        restarts_per_minute_max: how often a session that was lost is opened anew.
    """

    model_config = ConfigDict(frozen=True)

    start_timeout_s: float
    call_timeout_s: float
    bytes_max: int
    calls_max: int
    restarts_per_minute_max: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The limits that the settings give."""
        return cls(
            start_timeout_s=settings.mcp_start_timeout_s,
            call_timeout_s=settings.mcp_call_timeout_s,
            bytes_max=settings.page_bytes_max,
            calls_max=settings.mcp_calls_max,
            restarts_per_minute_max=settings.mcp_restarts_per_minute_max,
        )

    @property
    def message_bytes_max(self) -> int:
        """Of one message: it may hold the text twice (as text and as structured content), and names around it."""
        return 2 * self.bytes_max + 65_536


class McpUnavailableError(Exception):
    """There is no session with the server; the message says why, for the reader."""


class McpLostError(Exception):
    """The session ended before the call was answered. ``unsent``: the server has provably not worked on it."""

    def __init__(self, *, unsent: bool) -> None:
        super().__init__("the server went away")
        self.unsent = unsent


class McpCallError(Exception):
    """One call came to nothing. ``reason`` is a short code, ``text`` what the server said, ``retry_after_s`` the pause that
    it asks for."""

    def __init__(self, reason: str, text: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = text
        self.retry_after_s = retry_after_s


class Session:
    """A session from the moment it is begun; must be closed."""

    def __init__(self, server: McpServer, limits: McpLimits) -> None:
        self._server = server
        self._limits = limits
        self._stderr = StderrTail()
        self._signs = HttpSigns()
        self._client: Client | None = None
        self._ending = asyncio.Event()
        self._answers = 0
        self._tools: asyncio.Future[tuple[Tool, ...]] = asyncio.get_running_loop().create_future()
        self._tools.add_done_callback(lambda tools: tools.exception())  # asked for or not, it is no loose end
        self._task = asyncio.create_task(self._live(), name=f"mcp server {server.name}")

    @property
    def has_ended(self) -> bool:
        """Whether it can take no calls any more."""
        return self._ending.is_set() or self._task.done()

    async def opened(self) -> tuple[Tool, ...]:
        """Wait until it is open; the server's tools.

        Raises:
            McpUnavailableError: the server did not start, does not answer or does not speak the protocol.
        """
        return await asyncio.shield(self._tools)

    async def close(self) -> None:
        """End it and wait until nothing of it is left."""
        self._ending.set()
        await asyncio.shield(self._task)

    async def call(self, tool: str, args: dict[str, JsonValue]) -> CallToolResult:
        """Call a tool within the time limit.

        Raises:
            McpCallError: the call came to nothing; the session may have ended with it.
            McpLostError: the session has ended.
        """
        client, before = self._client, self._answers
        if client is None or self.has_ended:
            raise McpLostError(unsent=True)
        try:
            with anyio.fail_after(self._limits.call_timeout_s):
                result = await client.call_tool(tool, args)
        except TimeoutError as error:
            if self._answers == before:
                self._ending.set()  # it has answered nobody meanwhile: it hangs
            raise McpCallError("timeout") from error
        except MCPError as error:
            if error.code == CONNECTION_CLOSED or self._signs.refused:
                self._ending.set()
                raise McpLostError(unsent=self._signs.refused) from error
            self._answers += 1
            if error.code == TOO_LARGE:
                raise McpCallError("too_large") from error
            if (pause_s := self._signs.taken_pause_s()) is not None:
                raise McpCallError("rate_limited", error.message, pause_s) from error
            raise McpCallError("refused", error.message) from error
        except (ValueError, RuntimeError) as error:  # not a tool result, or not as the tool's own schema says
            self._answers += 1
            raise McpCallError("bad_answer") from error
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            self._ending.set()
            raise McpLostError(unsent=False) from error
        self._answers += 1
        return result

    async def _live(self) -> None:
        problem = "it did not answer in time"
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + self._limits.start_timeout_s) as limit:
                async with contextlib.AsyncExitStack() as stack:
                    client = await self._connected(stack)
                    tools = await _all_tools(client)
                    limit.deadline = math.inf
                    self._client = client
                    self._tools.set_result(tools)
                    await self._ending.wait()
                    self._client = None
                    limit.deadline = anyio.current_time() + _CLOSE_TIMEOUT_S
        except* (MCPError, OSError, httpx2.HTTPError, httpx2.InvalidURL, ValueError, RuntimeError) as group:
            problem = self._described(_first(group))
        except* (anyio.ClosedResourceError, anyio.BrokenResourceError, httpx2.SSEError) as group:
            problem = self._described(_first(group))
        finally:
            self._client = None
            self._ending.set()
            if not self._tools.done():
                said = self._stderr.last_line()
                detail = f"{problem}; it said: {said}" if said else problem
                self._tools.set_exception(McpUnavailableError(f"MCP server {self._server.name!r}: {detail}"))
            log.info("mcp_session_ended", server=self._server.name)

    async def _connected(self, stack: contextlib.AsyncExitStack) -> Client:
        limits = self._limits
        if isinstance(self._server, HttpServer):
            client = http_client(
                self._server, timeout_s=limits.call_timeout_s, bytes_max=limits.message_bytes_max, signs=self._signs
            )
            http = await stack.enter_async_context(client)
            transport = streamable_http_client(
                self._server.url, http_client=http, max_sse_event_size=limits.message_bytes_max
            )
            return await stack.enter_async_context(Client(transport, client_info=_CLIENT, cache=None))
        process = open_process(self._server, limits.message_bytes_max, self._stderr, self._ending.set)
        return await stack.enter_async_context(Client(process, client_info=_CLIENT, cache=None))

    def _described(self, error: BaseException) -> str:
        if isinstance(error, FileNotFoundError):
            return "its command was not found: install it, or give its whole path"
        if isinstance(error, OSError):
            return f"it cannot be started or reached ({error.strerror or type(error).__name__})"
        if isinstance(error, MCPError):
            status = f", HTTP {self._signs.status}: check url and headers" if self._signs.status else ""
            closed = error.code == CONNECTION_CLOSED
            return f"it ended before it was ready{status}" if closed else f"it refused: {error.message}{status}"
        if isinstance(error, httpx2.TransportError):
            return f"it cannot be reached ({type(error).__name__}): check url"
        return f"it does not speak the protocol ({type(error).__name__})"


async def _all_tools(client: Client) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    cursor: str | None = None
    for _ in range(_TOOL_PAGES_MAX):
        page = await client.list_tools(cursor=cursor)
        tools.extend(page.tools)
        cursor = page.next_cursor
        if cursor is None:
            break
    return tuple(tools)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
