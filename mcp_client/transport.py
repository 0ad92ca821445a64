"""Adds two things to the ``mcp`` library's transports: a size limit for JSON answers, and a child's last error output."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO, cast

import httpx2
from anyio.streams.memory import MemoryObjectReceiveStream
from mcp.client._transport import TransportStreams
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import CONNECTION_CLOSED, PARSE_ERROR

from domain.retry_after import retry_after_s
from mcp_client.config import HttpServer, McpServer

# The library's sentences for a streamed event and for JSON; a server's own error text may contain similar words.
_TOO_LARGE = re.compile(
    r"SSE stream failed: Server-sent event exceeded the \d+ byte limit\."
    r"|Failed to parse JSON response: the answer exceeded the \d+ byte limit"
)

_READ_SLACK_S = 5.0
_PAUSE_MAX_S = 300.0
_STDERR_KEPT_BYTES = 2000


@dataclass
class Signs:
    """What the transport saw of a connection.

    Attributes:
        session_unknown: the server no longer knows the session, so it did not start the call.
        http_status: the last HTTP error status.
        pause_s: the pause that a 429 or 503 asked for.
    """

    session_unknown: bool = False
    http_status: int | None = None
    pause_s: float | None = None
    stderr: bytes = b""
    stdout: MemoryObjectReceiveStream[SessionMessage | Exception] | None = None

    @property
    def child_ended(self) -> bool:
        """Whether the child process has closed its output, for example because it died."""
        return self.stdout is not None and self.stdout.statistics().open_send_streams == 0

    def last_stderr_line(self) -> str:
        lines = [line.strip() for line in self.stderr.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""


@asynccontextmanager
async def connect(
    server: McpServer, *, timeout_s: float, bytes_max: int, signs: Signs
) -> AsyncIterator[TransportStreams]:
    """Start or reach a server, and yield its streams."""
    async with AsyncExitStack() as stack:
        if isinstance(server, HttpServer):
            http = await stack.enter_async_context(_http_client(server, timeout_s, bytes_max, signs))
            http_transport = streamable_http_client(server.url, http_client=http, max_sse_event_size=bytes_max)
            yield await stack.enter_async_context(http_transport)
            return
        errlog = stack.enter_context(_stderr_kept_in(signs))
        parameters = StdioServerParameters(command=server.command, args=list(server.args), env=server.env)
        reads, writes = await stack.enter_async_context(stdio_client(parameters, errlog=errlog))
        signs.stdout = cast(MemoryObjectReceiveStream[SessionMessage | Exception], reads)
        yield reads, writes


def is_too_large(error: MCPError) -> bool:
    """Whether the transport gave up on an answer because of its size."""
    return error.code in {CONNECTION_CLOSED, PARSE_ERROR} and _TOO_LARGE.fullmatch(error.message) is not None


def _http_client(server: HttpServer, timeout_s: float, bytes_max: int, signs: Signs) -> httpx2.AsyncClient:
    async def on_response(response: httpx2.Response) -> None:
        status = response.status_code
        if status >= httpx2.codes.BAD_REQUEST:
            signs.http_status = status
        if status in {httpx2.codes.TOO_MANY_REQUESTS, httpx2.codes.SERVICE_UNAVAILABLE}:
            pause_s = retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
            signs.pause_s = None if pause_s is None else min(pause_s, _PAUSE_MAX_S)
        if status == httpx2.codes.NOT_FOUND and "mcp-session-id" in response.request.headers:
            signs.session_unknown = True
        if response.headers.get("content-type", "").startswith("application/json"):
            response.stream = _BoundedStream(cast(httpx2.AsyncByteStream, response.stream), bytes_max)

    return httpx2.AsyncClient(
        headers={**server.headers, "Accept-Encoding": "identity"},  # a compressed answer could exceed the limit
        timeout=httpx2.Timeout(timeout_s, read=timeout_s + _READ_SLACK_S),
        trust_env=False,
        event_hooks={"response": [on_response]},
    )


class _BoundedStream(httpx2.AsyncByteStream):
    """A response body of limited size. The library limits only streamed events."""

    def __init__(self, inner: httpx2.AsyncByteStream, bytes_max: int) -> None:
        self._inner, self._bytes_max = inner, bytes_max

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > self._bytes_max:
                raise httpx2.StreamError(f"the answer exceeded the {self._bytes_max} byte limit")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


@contextmanager
def _stderr_kept_in(signs: Signs) -> Iterator[TextIO]:
    """Yield a file for a child's standard error. Only the last bytes are kept, in ``signs.stderr``."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)

    def read() -> None:
        try:
            signs.stderr = (signs.stderr + os.read(read_end, 65_536))[-_STDERR_KEPT_BYTES:]
        except BlockingIOError:
            return  # nothing to read yet

    loop = asyncio.get_running_loop()
    loop.add_reader(read_end, read)
    try:
        with os.fdopen(write_end, "w") as errlog:
            yield errlog
            read()
    finally:
        loop.remove_reader(read_end)
        os.close(read_end)
