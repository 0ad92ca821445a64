"""An HTTP proxy that a worker talks to instead of the model, the search or the web, and that misbehaves when it is told to.

It sits on the real socket, so the demo behind it needs no switch for faults. One request a connection, bodies with a
length, as the pipeline's clients send them. It also keeps the other side's books: what was asked, what was paid for.
"""

import asyncio
import hashlib
import re
from collections import Counter, deque
from contextlib import suppress
from enum import StrEnum
from urllib.parse import urlsplit

from local.processes import LOOPBACK

RETRY_AFTER_S = 1
_HEAD_MAX_BYTES = 65_536
_PAID = (b"POST ", b"GET /search?")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)


class Fault(StrEnum):
    """How one request goes wrong."""

    RATE_LIMITED = "429"
    SERVER_ERROR = "500"
    UNAVAILABLE = "503"
    HANGING = "hangs"
    CUT_OFF = "cut off"
    RESET = "reset"


class FaultyProxy:
    """One service behind a port of its own.

    Attributes:
        latency_s: how long the service takes over an answer, on top of its own time.
        requests: how many requests came, whatever became of them.
        answered: what was posted or searched for and answered with 200 by the service, by the hash of the request. It has done the
            work then, and is paid, also when the answer is lost on its way back. Looking whether it is there (another GET) costs nothing.
        in_flight: requests under way now.
        faults: what goes wrong with the next requests, in turn.
        is_down: nothing is answered: every connection is closed at once.
        refused_s: when a request found the service down, seconds of the loop's clock.
    """

    def __init__(self, *, latency_s: float = 0.0, follows_client: bool = False) -> None:
        """With ``follows_client`` the service is let go when the client hangs up; else it finishes what it was asked."""
        self.latency_s = latency_s
        self.requests = 0
        self.answered: Counter[str] = Counter()
        self.in_flight = 0
        self.faults: deque[Fault] = deque()
        self.injected: Counter[Fault] = Counter()
        self.is_down = False
        self.refused_s: list[float] = []
        self._follows_client = follows_client
        self._upstream = (LOOPBACK, 0)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def listen(self) -> str:
        """Begin to listen on a free port. Returns the address, ``http://127.0.0.1:PORT``."""
        self._server = await asyncio.start_server(self._connected, LOOPBACK, 0, limit=_HEAD_MAX_BYTES)
        return f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    def lead_to(self, url: str) -> None:
        """Where requests go on to."""
        parts = urlsplit(url)
        self._upstream = (parts.hostname or LOOPBACK, parts.port or 80)

    def forget(self) -> None:
        self.requests, self.is_down = 0, False
        self.answered, self.injected = Counter(), Counter()
        self.faults.clear()
        self.refused_s.clear()

    async def close(self) -> None:
        """Stop listening and let go of every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        try:
            # A client that leaves, killed or out of patience, is what this is for; there is nobody to tell.
            with suppress(asyncio.IncompleteReadError, ConnectionError):
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
        if fault is not None:
            self.injected[fault] += 1
        self.in_flight += 1
        try:
            match fault:
                case Fault.RESET:
                    writer.transport.abort()
                case Fault.HANGING:
                    await reader.read()  # until the client hangs up
                case Fault.RATE_LIMITED | Fault.SERVER_ERROR | Fault.UNAVAILABLE:
                    writer.write(_failure(fault))
                case Fault.CUT_OFF | None:
                    answer = await self._asked(head, body, reader)
                    writer.write(answer if fault is None else answer[: len(answer) // 2])
            if not writer.transport.is_closing():
                await writer.drain()
        finally:
            self.in_flight -= 1

    async def _asked(self, head: bytes, body: bytes, reader: asyncio.StreamReader) -> bytes:
        asking = asyncio.create_task(self._relayed(head, body))
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
        await asyncio.sleep(self.latency_s)
        return answer

    async def _relayed(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            # Closed after each exchange, so that the end of an answer is the end of the stream.
            closing = _CONNECTION.sub(b"", head.removesuffix(b"\r\n\r\n")) + b"\r\nConnection: close\r\n\r\n"
            writer.write(closing + body)
            return await reader.read()
        finally:
            writer.close()


def _failure(fault: Fault) -> bytes:
    """An error as OpenAI's API words it; a web client reads the status alone."""
    after = f"Retry-After: {RETRY_AFTER_S}\r\n" if fault is Fault.RATE_LIMITED else ""
    body = '{"error": {"message": "on purpose", "type": "server_error", "param": null, "code": null}}'
    return (
        f"HTTP/1.1 {fault.value} On Purpose\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"{after}Connection: close\r\n\r\n{body}"
    ).encode()
