"""A worker's health endpoint: ``GET /healthz`` (its event loop runs) and ``GET /readyz`` (it can work).

Answers 200, or 503 with one reason per line.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import psycopg
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from runtime.process import UserError
from store.database import DatabaseUnreachableError, one_connection

Check = Callable[[], Awaitable[None]]
"""Raises if the part does not answer."""


@dataclass
class Health:
    """The health of a worker. ``state`` says why it takes no work, such as ``draining``, and is empty if it does."""

    loop: asyncio.AbstractEventLoop
    checks: Mapping[str, Check]
    state: str = "starting"
    timeout_s: float = 2.0

    @classmethod
    def of_worker(cls, client: Client, database_url: str) -> "Health":
        async def temporal() -> None:
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))

        async def database() -> None:
            async with one_connection(database_url) as conn:
                await conn.execute("SELECT 1")

        return cls(asyncio.get_running_loop(), {"temporal": temporal, "database": database})

    def problems(self, *, readiness: bool) -> list[str]:
        """Return why the worker is not alive, or not ready. Call it outside the event loop's thread."""
        checks = self.checks if readiness else {}
        try:
            failed = asyncio.run_coroutine_threadsafe(self._failed(checks), self.loop).result(2 * self.timeout_s)
        except TimeoutError:
            return ["the event loop is blocked"]
        return [self.state, *failed] if readiness and self.state else failed

    async def _failed(self, checks: Mapping[str, Check]) -> list[str]:
        async def failure(part: str, check: Check) -> str | None:
            try:
                async with asyncio.timeout(self.timeout_s):
                    await check()
            except (RPCError, psycopg.Error, DatabaseUnreachableError, OSError, TimeoutError) as error:
                return f"{part} does not answer ({type(error).__name__})"  # the message may contain an address
            return None

        found = await asyncio.gather(*(failure(part, check) for part, check in checks.items()))
        return [problem for problem in found if problem is not None]


@contextmanager
def serve_health(port: int, health: Health) -> Iterator[int]:
    """Serve the endpoint while the block runs. Yields the port (0 takes a free one).

    Raises:
        UserError: the port is in use.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path in {"/healthz", "/readyz"}:
                problems = health.problems(readiness=self.path == "/readyz")
                status = 503 if problems else 200
            else:
                status, problems = 404, ["not found: /healthz or /readyz"]
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write("".join(f"{line}\n" for line in problems or ["ok"]).encode())

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
