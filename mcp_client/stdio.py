"""An MCP server as a child process: messages, one a line, over its standard input and output.

Beside what the library's own transport does, a line has a largest size (an answer beyond it is replaced by an error, and the rest
of it read past), the end of the process is told, and what it writes to standard error is kept for a message, not logged.
"""

import asyncio
import os
import re
import signal
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, jsonrpc_message_adapter
from pydantic import ValidationError

from mcp_client.config import StdioServer

log = structlog.get_logger()

Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]

TOO_LARGE = 413  # as in HTTP; outside of the codes that JSON-RPC and MCP use, which are negative
# The specification's order of ending: close its input, wait, terminate, wait, kill. Servers of tools have nothing to save.
_EXIT_GRACE_S = 1.0
_TERMINATE_GRACE_S = 1.0
_POLL_S = 0.02
_STDERR_KEPT_BYTES = 2000
_EDGE_BYTES = 200
# Where a response has its id: before its result (as the Python library writes) or after it (as the TypeScript one does).
_ID_FIRST = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d+)\s*,')
_ID_LAST = re.compile(rb',\s*"id"\s*:\s*(\d+)\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')


class StderrTail:
    """The last of what a server wrote to standard error."""

    def __init__(self) -> None:
        self._kept = b""

    def add(self, chunk: bytes) -> None:
        """Keep the end of it."""
        self._kept = (self._kept + chunk)[-_STDERR_KEPT_BYTES:]

    def last_line(self) -> str:
        """The last line that holds anything; empty when nothing was written."""
        lines = [line.strip() for line in self._kept.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""


@asynccontextmanager
async def open_process(
    server: StdioServer, bytes_max: int, stderr: StderrTail, on_end: Callable[[], None]
) -> AsyncIterator[Streams]:
    """Start a server and yield the streams to it; left, neither it nor a process that it started is there any more.

    Args:
        bytes_max: largest line that is read.
        on_end: called when the server has closed its output or its input, as by its death.

    Raises:
        OSError: it cannot be started.
    """
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        lambda: SubprocessStreamProtocol(limit=bytes_max, loop=loop),
        server.command,
        *server.args,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=get_default_environment() | server.env,
        start_new_session=True,  # a group of its own, so that a signal reaches what it has started
    )
    process = Process(transport, protocol, loop)
    try:
        to_session, session_reads = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        session_writes, from_session = anyio.create_memory_object_stream[SessionMessage](0)
        async with to_session, session_reads, session_writes, from_session, anyio.create_task_group() as tasks:
            tasks.start_soon(_read_messages, process, to_session, on_end)
            tasks.start_soon(_write_messages, process, from_session, on_end)
            tasks.start_soon(_read_stderr, process, stderr)
            try:
                yield session_reads, session_writes
            finally:
                tasks.cancel_scope.cancel()
    finally:
        try:
            with anyio.CancelScope(shield=True):
                await _end(process)
        finally:
            _signal_group(process.pid, signal.SIGKILL)  # also when the wait itself was cut short
            transport.close()


async def _read_messages(
    process: Process, to_session: MemoryObjectSendStream[SessionMessage | Exception], on_end: Callable[[], None]
) -> None:
    stdout = cast(asyncio.StreamReader, process.stdout)  # all three are pipes
    try:
        async with to_session:
            while (line := await _next_line(stdout)) is not None:
                message = _oversized(line) if isinstance(line, tuple) else _parsed(line)
                if message is not None:
                    await to_session.send(message)
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        log.debug("mcp_session_gone")  # nobody reads any more: the session is being left
    finally:
        on_end()


async def _next_line(stdout: asyncio.StreamReader) -> bytes | tuple[bytes, bytes] | None:
    """The next line; of one that is too large its first and last bytes; None at the end."""
    try:
        return await stdout.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial or None
    except asyncio.LimitOverrunError as error:
        read = await stdout.readexactly(error.consumed)
    head, tail = read[:_EDGE_BYTES], read[-_EDGE_BYTES:]
    while True:
        try:
            return head, (tail + await stdout.readuntil(b"\n"))[-_EDGE_BYTES:]
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError as error:
            tail = (tail + await stdout.readexactly(error.consumed))[-_EDGE_BYTES:]


def _parsed(line: bytes) -> SessionMessage | None:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValidationError:
        # Servers greet on standard output although they must not; the line itself may hold anything, so it is not logged.
        log.debug("mcp_line_ignored", size_bytes=len(line))
        return None


def _oversized(edges: tuple[bytes, bytes]) -> SessionMessage | None:
    found = _ID_FIRST.match(edges[0]) or _ID_LAST.search(edges[1])
    if found is None:
        log.debug("mcp_oversized_line_ignored")
        return None
    return SessionMessage(too_large_error(int(found[1])))


def too_large_error(request_id: int | str) -> JSONRPCError:
    """What stands in the place of an answer that is too large."""
    return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=TOO_LARGE, message="too large"))


async def _write_messages(
    process: Process, from_session: MemoryObjectReceiveStream[SessionMessage], on_end: Callable[[], None]
) -> None:
    stdin = cast(asyncio.StreamWriter, process.stdin)
    try:
        async for outgoing in from_session:
            line = outgoing.message.model_dump_json(by_alias=True, exclude_unset=True)
            stdin.write(line.encode() + b"\n")
            await stdin.drain()
    except (ConnectionError, anyio.ClosedResourceError):
        log.debug("mcp_input_closed")
        on_end()


async def _read_stderr(process: Process, stderr: StderrTail) -> None:
    # Read to its end: a full pipe would stop the server.
    output = cast(asyncio.StreamReader, process.stderr)
    while chunk := await output.read(4096):
        stderr.add(chunk)


async def _end(process: Process) -> None:
    cast(asyncio.StreamWriter, process.stdin).close()
    if await _is_gone(process, _EXIT_GRACE_S):
        return
    _signal_group(process.pid, signal.SIGTERM)
    if not await _is_gone(process, _TERMINATE_GRACE_S):
        _signal_group(process.pid, signal.SIGKILL)
        await _is_gone(process, _TERMINATE_GRACE_S)


async def _is_gone(process: Process, within_s: float) -> bool:
    # Not process.wait(): it waits for the pipes too, and a grandchild may hold them open.
    with anyio.move_on_after(within_s):
        while process.returncode is None or _signal_group(process.pid, 0):  # noqa: ASYNC110 - nothing tells that a group is gone
            await anyio.sleep(_POLL_S)
        return True
    return False


def _signal_group(group: int, number: int) -> bool:
    """Whether there is anyone in the process group to get the signal."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        log.debug("mcp_process_not_ours", group=group)
    return True
