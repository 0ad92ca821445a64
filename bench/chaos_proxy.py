"""An HTTP proxy between a worker and the model, the search or the web, which fails when it is told to.

The demo behind it needs no switch for faults. It handles one request a connection, and bodies with a length, as the
pipeline's clients send them. It also counts what was asked and what was paid for.
"""

import asyncio
import hashlib
import re
from collections import Counter, deque
from contextlib import suppress
from enum import StrEnum
from urllib.parse import urlsplit

from local.processes import LOOPBACK

_PAID = (b"POST ", b"GET /search?")  # any other GET costs nothing
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
_ERROR = '{"error": {"message": "on purpose", "type": "server_error", "param": null, "code": null}}'


class Fault(StrEnum):
    """How one request fails."""

    RATE_LIMITED = "429"
    SERVER_ERROR = "500"
    UNAVAILABLE = "503"
    HANGING = "hangs"
    CUT_OFF = "cut off"
    RESET = "reset"


class FaultyProxy:
    """One service behind a port of its own.

    Attributes:
        requests: how many came, whatever the outcome.
        answered: paid requests that the service answered with 200, by their hash. They count even if the answer got lost.
        in_flight: requests under way now.
        faults: how the next requests fail, in order.
        cut_off: answers that a fault cut off.
        is_down: every connection is closed at once.
        refused_s: when requests found the service down, by the loop's clock.
    """

    def __init__(self, *, latency_s: float = 0.0, follows_client: bool = False) -> None:
        """Without ``follows_client``, the service finishes an answer even after the client left."""
        self.faults: deque[Fault] = deque()
        self.in_flight = 0
        self.reset()
        self._latency_s = latency_s
        self._follows_client = follows_client
        self._open: set[asyncio.Task[None]] = set()
        self._upstream: tuple[str, int]
        self._server: asyncio.Server | None = None

    def reset(self) -> None:
        """Count from zero, without faults."""
        self.requests = self.cut_off = 0
        self.is_down = False
        self.answered = Counter[str]()
        self.refused_s: list[float] = []
        self.faults.clear()

    async def listen(self, upstream_url: str) -> str:
        """Forward to this service from now on. Returns the proxy's own address."""
        parts = urlsplit(upstream_url)
        self._upstream = (parts.hostname or LOOPBACK, parts.port or 80)
        self._server = await asyncio.start_server(self._connected, LOOPBACK, 0)
        return f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):  # the client was killed, or gave up
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                await self._exchange(head, body, reader, writer)
        finally:
            writer.close()

    async def _exchange(
        self, head: bytes, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.requests += 1
        if self.is_down:
            self.refused_s.append(asyncio.get_running_loop().time())
            writer.transport.abort()
            return
        fault = self.faults.popleft() if self.faults else None
        self.in_flight += 1
        try:
            match fault:
                case Fault.RESET:
                    writer.transport.abort()
                case Fault.HANGING:
                    await reader.read()  # until the client hangs up
                case Fault.RATE_LIMITED | Fault.SERVER_ERROR | Fault.UNAVAILABLE:
                    writer.write(_failure(fault))
                case Fault.CUT_OFF:
                    self.cut_off += 1
                    answer = await self._ask(head, body, reader)
                    writer.write(answer[: len(answer) // 2])
                case None:
                    writer.write(await self._ask(head, body, reader))
            if not writer.transport.is_closing():
                await writer.drain()
        finally:
            self.in_flight -= 1

    async def _ask(self, head: bytes, body: bytes, reader: asyncio.StreamReader) -> bytes:
        asking = asyncio.create_task(self._relay(head, body))
        waiting: set[asyncio.Task[bytes]] = {asking}
        if self._follows_client:
            waiting.add(asyncio.create_task(reader.read()))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise ConnectionError("the client left")
            answer = asking.result()
        finally:
            for task in waiting:
                task.cancel()
        if head.startswith(_PAID) and answer.startswith(b"HTTP/1.1 200"):
            self.answered[hashlib.sha256(head.partition(b"\r\n")[0] + body).hexdigest()] += 1
        await asyncio.sleep(self._latency_s)
        return answer

    async def _relay(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            # The service closes the connection, so the end of the stream is the end of the answer.
            closing = _CONNECTION.sub(b"", head.removesuffix(b"\r\n\r\n")) + b"\r\nConnection: close\r\n\r\n"
            writer.write(closing + body)
            return await reader.read()
        finally:
            writer.close()


def _failure(fault: Fault) -> bytes:
    """An error as OpenAI's API words it. A web client reads only the status."""
    after = "Retry-After: 1\r\n" if fault is Fault.RATE_LIMITED else ""
    return (
        f"HTTP/1.1 {fault.value} On Purpose\r\nContent-Type: application/json\r\nContent-Length: {len(_ERROR)}\r\n"
        f"{after}Connection: close\r\n\r\n{_ERROR}"
    ).encode()
