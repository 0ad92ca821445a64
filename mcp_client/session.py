"""One session with one MCP server.

Each session runs in its own task, because a task that enters the library's cancel scopes must also leave them. An ended
session is never reused; ``pool.py`` opens a new one.
"""

import asyncio
import logging
import math

import anyio
import httpx2
import structlog
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, PARSE_ERROR, Implementation, Tool
from pydantic import JsonValue

from mcp_client.answers import McpAnswer
from mcp_client.config import McpServer
from mcp_client.protocol import read_answer
from mcp_client.transport import Signs, connect, is_too_large
from settings import Settings

log = structlog.get_logger()

# The library logs the content of messages that it cannot parse.
logging.getLogger("mcp.client").setLevel(logging.CRITICAL)

_CLOSE_TIMEOUT_S = 5.0  # counted in STOP_MARGIN_S (settings.py)
_TOOL_PAGES_MAX = 50
_ERROR_TEXT_MAX = 2000
_CLIENT = Implementation(name="pm-pipeline", version="0.1")


class McpUnavailableError(Exception):
    """The session could not be opened. The message says why."""


class McpLostError(Exception):
    """The session ended before the answer. If ``unsent``, the server did not start the call."""

    def __init__(self, *, unsent: bool) -> None:
        super().__init__("the connection to the server was lost")
        self.unsent = unsent


class Session:
    def __init__(self, server: McpServer, settings: Settings) -> None:
        """Start opening the session. ``opened`` waits for the result."""
        self._server = server
        self._settings = settings
        self._signs = Signs()
        self._client: Client | None = None
        self._unreachable = False
        self._ending = asyncio.Event()
        self._answers = 0
        self._tools: asyncio.Future[tuple[Tool, ...]] = asyncio.get_running_loop().create_future()
        self._tools.add_done_callback(lambda tools: tools.exception())  # or asyncio reports the error as unread
        self._task = asyncio.create_task(self._live(), name=f"mcp server {server.name}")

    @property
    def has_ended(self) -> bool:
        return self._ending.is_set() or self._task.done() or self._signs.child_ended

    async def opened(self) -> tuple[Tool, ...]:
        """Wait until the session is open, and return the server's tools.

        Raises:
            McpUnavailableError: the server did not start, does not answer or does not speak the protocol.
        """
        return await asyncio.shield(self._tools)

    async def close(self) -> None:
        """End the session, and wait until the server's process is gone."""
        self._ending.set()
        await asyncio.shield(self._task)

    async def call(self, tool: str, args: dict[str, JsonValue]) -> McpAnswer:
        """Call a tool within the time limit.

        Raises:
            McpLostError: the session has ended.
        """
        client, before = self._client, self._answers
        if client is None or self.has_ended:
            raise McpLostError(unsent=True)
        try:
            with anyio.fail_after(self._settings.mcp_call_timeout_s):
                result = await client.call_tool(tool, args)
        except TimeoutError:
            if self._answers == before:
                self._ending.set()  # no other call was answered either: the server hangs
            return McpAnswer(status="error", reason="timeout")
        except MCPError as error:
            return await self._failure(error)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            self._ending.set()
            raise McpLostError(unsent=False) from error
        except (ValueError, RuntimeError):  # not a tool result, or not in the tool's own schema
            self._answers += 1
            return McpAnswer(status="error", reason="bad_answer")
        self._answers += 1
        return read_answer(result, self._settings.page_bytes_max)

    async def _failure(self, error: MCPError) -> McpAnswer:
        if is_too_large(error):
            self._answers += 1
            return McpAnswer(status="error", reason="too_large")
        if error.code == CONNECTION_CLOSED or self._signs.session_unknown:
            await self.close()  # then self._signs shows why it ended
            raise McpLostError(unsent=self._signs.session_unknown or self._unreachable) from error
        self._answers += 1
        if error.code == PARSE_ERROR:
            return McpAnswer(status="error", reason="bad_answer")
        pause_s, self._signs.pause_s = self._signs.pause_s, None
        reason = "refused" if pause_s is None else "rate_limited"
        text = error.message[:_ERROR_TEXT_MAX]
        return McpAnswer(status="error", reason=reason, text=text, retry_after_s=pause_s)

    async def _live(self) -> None:
        problem = "it did not answer in time"
        settings = self._settings
        # A message may contain the text twice (plain and as structured content), plus JSON.
        bytes_max = 2 * settings.page_bytes_max + 65_536
        transport = connect(self._server, timeout_s=settings.mcp_call_timeout_s, bytes_max=bytes_max, signs=self._signs)
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + settings.mcp_start_timeout_s) as limit:
                async with Client(transport, client_info=_CLIENT, cache=None) as client:
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
                said = self._signs.last_stderr_line()
                detail = f"{problem}; it said: {said}" if said else problem
                self._tools.set_exception(McpUnavailableError(f"MCP server {self._server.name!r}: {detail}"))
            log.info("mcp_session_ended", server=self._server.name)

    def _described(self, error: BaseException) -> str:
        if isinstance(error, FileNotFoundError):
            return "its command was not found: install it, or give its whole path"
        if isinstance(error, OSError):
            return f"it cannot be started or reached ({error.strerror or type(error).__name__})"
        if isinstance(error, MCPError):
            status = self._signs.http_status
            hint = f", HTTP {status}: check url and headers" if status else ""
            closed = error.code == CONNECTION_CLOSED
            return f"it ended before it was ready{hint}" if closed else f"it refused: {error.message}{hint}"
        if isinstance(error, httpx2.TransportError):
            self._unreachable = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
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
