"""Servers that break HTTP, byte by byte. Each ends in a typed, stored result, and no task is left over."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from settings import Settings
from store.database import Database
from store.tools import tool_results
from store.tools.tool_results import ToolResult
from web.fetch import WebClient
from web.gateway import ToolGateway

URL = "http://acme.example/"
BYTES_MAX = 1_000_000
TIMEOUT_S, SHORT_TIMEOUT_S = 10.0, 0.4  # the short one where the server is silent
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
NO_ROBOTS = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
HUNDRED_MB = 100_000_000

Speak = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """A server that speaks raw bytes after each request for the page."""

    url: str = ""
    sent_bytes: int = 0
    open_connections: int = 0


@asynccontextmanager
async def raw_server(speak: Speak) -> AsyncIterator[RawServer]:
    server = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.open_connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"/robots.txt " in head.split(b"\r\n", 1)[0]:
                    writer.write(NO_ROBOTS)
                    continue
                await speak(writer)
                await writer.drain()
                return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client hung up, or the test is over
        finally:
            server.open_connections -= 1
            tasks.discard(task)
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says(content: bytes) -> Speak:
    """Says this and hangs up."""

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(content)

    return speak


def says_and_keeps_silent(content: bytes) -> Speak:
    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await asyncio.sleep(3600)

    return speak


def says_and_resets(content: bytes) -> Speak:
    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        # Lingering for no time: the connection is reset instead of closed.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return speak


async def drips(writer: asyncio.StreamWriter) -> None:
    """A byte at a time, each well within any time limit for a single read."""
    writer.write(OK + b"\r\n<p>")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


def chunked(*chunks: bytes) -> bytes:
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


def packed(encoding: bytes, body: bytes) -> bytes:
    return OK + b"Content-Encoding: " + encoding + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


ZEROS = b"\0" * 20_000_000
PAGE = b"<p>Acme manages homes</p>"

BAD: dict[str, tuple[Speak, str]] = {
    "hangs up without a word": (says(b""), "unreachable_remoteprotocolerror"),
    "accepts and keeps silent": (says_and_keeps_silent(b""), "timeout"),
    "keeps silent after the head": (says_and_keeps_silent(OK + b"Content-Length: 100\r\n\r\n"), "timeout"),
    "keeps silent in the middle of the body": (
        says_and_keeps_silent(OK + b"Content-Length: 100\r\n\r\n<p>Acme"),
        "timeout",
    ),
    "drips": (drips, "timeout"),
    "endless headers": (endless_headers, "unreachable_remoteprotocolerror"),
    "reset before the head": (says_and_resets(b""), "unreachable_readerror"),
    "reset in the middle of the body": (
        says_and_resets(OK + b"Content-Length: 100\r\n\r\n<p>Acme"),
        "unreachable_readerror",
    ),
    "content-length above the body": (
        says(OK + b"Content-Length: 500\r\n\r\n" + PAGE),
        "unreachable_remoteprotocolerror",
    ),
    "content-length below zero": (says(OK + b"Content-Length: -5\r\n\r\n" + PAGE), "unreachable_remoteprotocolerror"),
    "content-length that is no number": (
        says(OK + b"Content-Length: ten\r\n\r\n" + PAGE),
        "unreachable_remoteprotocolerror",
    ),
    "two content-lengths": (
        says(OK + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n" + PAGE),
        "unreachable_remoteprotocolerror",
    ),
    "chunks of garbage": (says(chunked(b"zz\r\nnot a chunk\r\n")), "unreachable_remoteprotocolerror"),
    "a chunk above its size": (says(chunked(b"5\r\n<p>Acme too long\r\n0\r\n\r\n")), "unreachable_remoteprotocolerror"),
    "chunks that stop": (says(chunked(b"7\r\n<p>Acme\r\n")), "unreachable_remoteprotocolerror"),
    "a chunk of 16 exabytes": (says(chunked(b"ffffffffffffffff\r\n<p>Acme")), "unreachable_remoteprotocolerror"),
    "no HTTP": (says(b"220 mail.acme.example ESMTP\r\n"), "unreachable_remoteprotocolerror"),
    "a status of no such kind": (says(b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"), "http_999"),
    "bytes of TLS": (says(b"\x15\x03\x01\x00\x02\x02\x28"), "unreachable_remoteprotocolerror"),
    "gzip that is none": (says(packed(b"gzip", b"<p>Acme")), "undecodable"),
    "gzip bomb": (says(packed(b"gzip", gzip.compress(ZEROS, 1))), "too_large"),
    "gzip in gzip bomb": (says(packed(b"gzip, gzip", gzip.compress(gzip.compress(ZEROS, 1), 1))), "too_large"),
    "deflate bomb": (says(packed(b"deflate", zlib.compress(ZEROS, 1))), "too_large"),
    "elements without an end": (says(packed(b"gzip", gzip.compress(b"<div>x" * 600))), "nested_too_deeply"),
    "ten encodings": (says(packed(b", ".join([b"gzip"] * 10), b"x")), "undecodable"),
    "redirect without an address": (says(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), "no_text"),
    "redirect to nothing": (
        says(b"HTTP/1.1 302 Found\r\nLocation:\r\nContent-Length: 0\r\n\r\n"),
        "too_many_redirects",
    ),
    "redirect to an address of 100 kB": (
        says(b"HTTP/1.1 302 Found\r\nLocation: /" + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n"),
        "unreachable_invalidurl",
    ),
    "redirect with bytes of no charset": (
        says(b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe\x00/\r\nContent-Length: 0\r\n\r\n"),
        "unreachable_remoteprotocolerror",
    ),
}


async def fetched(database: Database, settings: Settings, proxy: str, timeout_s: float = TIMEOUT_S) -> ToolResult:
    """What the gateway makes of the page, read back from the store; nothing of it is under way any more."""
    web = WebClient(proxy=proxy, timeout_s=timeout_s, bytes_max=BYTES_MAX)
    before = asyncio.all_tasks()
    result = await ToolGateway(database, web, None, settings).fetch_page(URL, retry=False)
    left = {task for task in asyncio.all_tasks() - before if "raw_server" not in repr(task) and not task.done()}
    await web.close()
    assert not left, "no task is stuck"
    async with database.transaction() as conn:
        assert await tool_results.get_results(conn, [result.result_id]) == {result.result_id: result}
        assert await (await conn.execute("SELECT * FROM tool_calls_in_flight")).fetchall() == []
    return result


@pytest.mark.parametrize(("speak", "reason"), BAD.values(), ids=BAD.keys())
async def test_a_broken_answer_is_a_typed_result(
    database: Database, settings: Settings, speak: Speak, reason: str
) -> None:
    async with raw_server(speak) as server:
        timeout_s = SHORT_TIMEOUT_S if reason == "timeout" else TIMEOUT_S
        result = await fetched(database, settings, server.url, timeout_s)
    assert (result.status, result.reason) == ("empty" if reason == "no_text" else "error", reason)
    assert (result.text, result.page_hash) == ("", None)


@pytest.mark.parametrize("declared", [True, False], ids=["with content-length", "without"])
async def test_a_page_of_100_mb_is_read_up_to_the_limit(database: Database, settings: Settings, declared: bool) -> None:
    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(OK + (b"Content-Length: %d\r\n" % HUNDRED_MB if declared else b"") + b"\r\n")
        block = b"<p>Acme</p>" * 10_000
        while server.sent_bytes < HUNDRED_MB:
            writer.write(block)
            await writer.drain()
            server.sent_bytes += len(block)

    async with raw_server(speak) as server:
        result = await fetched(database, settings, server.url)
        assert (result.status, result.reason) == ("error", "too_large")
        assert server.sent_bytes < HUNDRED_MB / 2, "the connection was closed long before the end"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (OK + b"Content-Length: 7\r\n\r\n<p>AcmeHTTP/1.1 200 OK\r\n\r\nsmuggled", "Acme"),
        (OK + b"\r\n<p>Acme", "Acme"),
        (packed(b"gzip", gzip.compress(b"<p>Acme" + b" " * 9000)[:-12]), "Acme"),
    ],
    ids=["content-length below the body", "no length at all", "gzip that stops"],
)
async def test_a_short_or_long_body_is_read_to_its_end(
    database: Database, settings: Settings, answer: bytes, text: str
) -> None:
    async with raw_server(says(answer)) as server:
        result = await fetched(database, settings, server.url)
    assert (result.status, result.text) == ("ok", text)


async def test_a_hanging_page_delays_no_other_page(database: Database, settings: Settings) -> None:
    async with raw_server(says_and_keeps_silent(b"")) as silent, raw_server(says(OK + b"\r\n" + PAGE)) as well:
        hanging = asyncio.create_task(fetched(database, settings, silent.url, SHORT_TIMEOUT_S))
        other = WebClient(proxy=well.url, timeout_s=TIMEOUT_S, bytes_max=BYTES_MAX)
        assert (await other.fetch("http://other.example/")).status == "ok"
        assert (await hanging).reason == "timeout"
        await other.close()
