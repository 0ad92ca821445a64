"""A small HTTP server for tests over real sockets; a handler decides each answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """One answer; ``after_s`` is how long the server thinks about it."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0


Handler = Callable[[Request], Reply | Awaitable[Reply]]


@dataclass
class HttpServer:
    """A running server: its address, what it was asked, and over how many connections. ``stop`` refuses new ones."""

    url: str
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    stop: Callable[[], None] = lambda: None

    @property
    def targets(self) -> list[str]:
        """What was asked for, in order."""
        return [request.target for request in self.requests]


def html(text: str, **headers: str) -> Reply:
    """A page of HTML."""
    return Reply(body=text.encode(), headers={"content-type": "text/html; charset=utf-8", **headers})


def moved(location: str, status: int = 302) -> Reply:
    """A redirect."""
    return Reply(status=status, headers={"location": location})


def json_reply(content: Any, status: int = 200, **headers: str) -> Reply:
    """A JSON answer."""
    return Reply(status, json.dumps(content).encode(), {"content-type": "application/json", **headers})


@asynccontextmanager
async def serving(handler: Handler, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[HttpServer]:
    """Serve, on a free port unless one is given, until the block is left; connections still open are cut then."""
    open_connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        served.connections += 1
        try:
            while (request := await _read(reader)) is not None:
                served.requests.append(request)
                answer = handler(request)
                reply = answer if isinstance(answer, Reply) else await answer
                await asyncio.sleep(reply.after_s)
                writer.write(_written(reply))
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has hung up, or the test is over
        finally:
            open_connections.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, host, port)
    served = HttpServer(f"http://{host}:{server.sockets[0].getsockname()[1]}", stop=server.close)
    try:
        yield served
    finally:
        server.close()
        for task in list(open_connections):
            task.cancel()
        await asyncio.gather(*open_connections, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)


def _written(reply: Reply) -> bytes:
    headers = {"content-length": str(len(reply.body)), **reply.headers}
    # Some services have statuses of their own, which no standard has a phrase for.
    phrase = HTTPStatus(reply.status).phrase if reply.status in set(HTTPStatus) else "Own Status"
    lines = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + reply.body
