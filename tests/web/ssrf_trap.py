"""A trap for server-side request forgery: a victim on this machine that counts, and a small internet to be lured by.

The victim listens on 127.0.0.1 and ::1 and counts every TCP connection that is accepted, whatever comes over it. The
public web is one server on another address of this machine. Three things are allowed that production does not allow, so
that nothing but the rule under test stands between a trick and the victim: the trap's port counts as a web port, the
public server's one address counts as public, and names below ``.test`` are answered here, at the event loop's own
``getaddrinfo``. All else is the production client.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.http_server import Handler, HttpServer, Reply, Request, html, serving
from web import address_guard
from web.fetch import FetchedPage, WebClient

PUBLIC = f"127.77.{os.getpid() % 250}.{os.getpid() // 250 % 250 + 1}"  # of this process alone
SECRET = "the victim's secret"  # of nobody
Answers = list[list[str]]


@dataclass
class Trap:
    """The victim, the public server, and what our process did.

    Attributes:
        port: that both listen on, each on its own address.
        dialled: every address that our process began to connect to, reached or not.
        answers: what the name server says for a name, question by question; the last answer stays.
    """

    port: int
    client: WebClient
    victims: list[HttpServer]
    public: HttpServer
    dialled: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    answers: dict[str, Answers] = field(default_factory=dict)
    pages: dict[str, Reply] = field(default_factory=dict)

    @property
    def victim_connections(self) -> int:
        """How many TCP connections the victim has accepted."""
        return sum(victim.connections for victim in self.victims)

    def url(self, trick: str) -> str:
        """A trick with the trap's port in it."""
        return trick.replace("{port}", str(self.port))

    async def fetch(self, trick: str) -> FetchedPage:
        """What the production client makes of a trick."""
        return await self.client.fetch(self.url(trick))

    def reset(self) -> None:
        """Forget what was done and taught, as if nothing had been fetched."""
        self.dialled.clear()
        self.asked.clear()
        self.answers.clear()
        self.pages.clear()
        for victim in self.victims:
            victim.connections = 0


@asynccontextmanager
async def set_trap() -> AsyncIterator[Trap]:
    """Set the trap, for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        trap = await _listening(stack)
        stack.push_async_callback(trap.client.close)
        patch.setattr(address_guard, "WEB_PORTS", address_guard.WEB_PORTS | {trap.port})
        really_public = address_guard.is_public_address
        patch.setattr(address_guard, "is_public_address", lambda asked: asked == PUBLIC or really_public(asked))
        loop = asyncio.get_running_loop()
        patch.setattr(loop, "getaddrinfo", _name_server(trap, loop.getaddrinfo))
        patch.setattr(loop, "sock_connect", _dial_recorder(trap, loop.sock_connect), raising=False)
        yield trap


async def _listening(stack: AsyncExitStack) -> Trap:
    pages: dict[str, Reply] = {}
    secret: Handler = lambda request: html(SECRET)  # noqa: E731  # reads best beside its use

    def public(request: Request) -> Reply:
        return pages.get(f"{request.headers['host'].partition(':')[0]}{request.target}", Reply(404))

    for _ in range(20):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        attempt = AsyncExitStack()
        try:
            victims = [await attempt.enter_async_context(serving(secret, "127.0.0.1", port))]
            server = await attempt.enter_async_context(serving(public, PUBLIC, port))
            if _has_ipv6():
                victims.append(await attempt.enter_async_context(serving(secret, "::1", port)))
        except OSError:  # taken meanwhile, on one of the addresses
            await attempt.aclose()
            continue
        stack.push_async_callback(attempt.aclose)
        client = WebClient(proxy=None, timeout_s=3.0, bytes_max=100_000)
        return Trap(port, client, victims, server, pages=pages)
    raise AssertionError("no port is free on 127.0.0.1, ::1 and the public server's address")


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _name_server(trap: Trap, real: Callable[..., Any]) -> Callable[..., Any]:
    async def getaddrinfo(host: Any, port: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if not isinstance(name, str) or not name.endswith(".test"):
            return await real(host, port, **options)
        trap.asked.append(name)
        answers = trap.answers.get(name)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [_address(ip, port) for ip in answer]

    return getaddrinfo


def _address(ip: str, port: int) -> tuple[Any, ...]:
    family, where = (socket.AF_INET6, (ip, port, 0, 0)) if ":" in ip else (socket.AF_INET, (ip, port))
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "localhost", where)  # the canonical name a CNAME leads to


def _dial_recorder(trap: Trap, real: Callable[..., Any]) -> Callable[..., Any]:
    async def sock_connect(sock: socket.socket, address: Any) -> None:
        trap.dialled.add(str(address[0]))
        await real(sock, address)

    return sock_connect
