"""A worker's health endpoint: ``GET /healthz`` (alive) and ``GET /readyz`` (able to work).

Answers 200, or 503 with a line per reason. Probes never wait: the worker checks itself every few seconds.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import psycopg
import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from runtime.process import UserError
from store.database import DatabaseUnreachableError, one_connection

log = structlog.get_logger()

_CHECK_INTERVAL_S = 5.0
_CHECK_TIMEOUT_S = 4.0
_STUCK_AFTER_S = 30.0  # an event loop blocked this long sends no heartbeats: others have its activities already

Check = Callable[[], Awaitable[None]]
"""Raises if the part does not answer."""


@dataclass
class Health:
    """What a worker knows about itself. Written by its event loop, read by the endpoint's thread.

    Attributes:
        state: why it takes no work now, such as ``starting`` or ``draining``; empty while it does.
        failing: part that does not answer → the type of the error. No message, which may hold an address.
    """

    checks: Mapping[str, Check]
    state: str = "starting"
    failing: dict[str, str] = field(default_factory=dict)
    checked_at: float = field(default_factory=time.monotonic)

    @classmethod
    def of_worker(cls, client: Client, database_url: str) -> "Health":
        """The health of a worker that uses this server and this database."""

        async def temporal() -> None:
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))

        async def database() -> None:
            async with one_connection(database_url) as conn:
                await conn.execute("SELECT 1")

        return cls({"temporal": temporal, "database": database})

    def stuck(self) -> list[str]:
        """Why it is not alive; empty if it is."""
        blocked_s = time.monotonic() - self.checked_at
        return [f"the event loop has been blocked for {blocked_s:.0f} s"] if blocked_s > _STUCK_AFTER_S else []

    def not_ready(self) -> list[str]:
        """Why it cannot work; empty if it can."""
        state = [self.state] if self.state else []
        return self.stuck() + state + [f"{part} does not answer ({error})" for part, error in self.failing.items()]

    async def check(self) -> None:
        """Check each part once."""
        failing: dict[str, str] = {}
        for part, check in self.checks.items():
            try:
                async with asyncio.timeout(_CHECK_TIMEOUT_S):
                    await check()
            except (RPCError, psycopg.Error, DatabaseUnreachableError, OSError, TimeoutError) as error:
                failing[part] = type(error).__name__
        if failing.keys() != self.failing.keys():
            log.warning("worker_readiness", failing=failing)
        self.failing, self.checked_at = failing, time.monotonic()

    @asynccontextmanager
    async def checked_regularly(self) -> AsyncIterator[None]:
        """Check every few seconds while the block runs."""

        async def check_regularly() -> None:
            while True:
                await self.check()
                await asyncio.sleep(_CHECK_INTERVAL_S)

        task = asyncio.create_task(check_regularly(), name="health")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@contextmanager
def serve_health(port: int, health: Health) -> Iterator[int]:
    """Serve the endpoint while the block runs; yields the port (0 takes a free one).

    Raises:
        UserError: the port is taken.
    """
    reasons_of = {"/healthz": health.stuck, "/readyz": health.not_ready}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reasons = reasons_of[self.path]() if self.path in reasons_of else ["not found: /healthz or /readyz"]
            self.send_response(200 if not reasons else 503 if self.path in reasons_of else 404)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write("".join(f"{line}\n" for line in reasons or ["ok"]).encode())

        def log_message(self, *_args: object) -> None:
            """Do not log probes."""

    try:
        server = ThreadingHTTPServer(("0.0.0.0", port), Handler)  # noqa: S104  # probed from outside the container
    except OSError as error:
        raise UserError(f"WORKER_HEALTH_PORT {port} cannot be used: {error.strerror}") from error
    Thread(target=server.serve_forever, name="health", daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
