"""A worker's health endpoint: ``GET /healthz`` (its event loop runs) and ``GET /readyz`` (it can work).

Answers 200, or 503 with one reason per line.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
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

BLOCKED_AFTER_S = 30.0  # a busy loop may stand still for seconds; after this time the worker's heartbeats are lost too
_TICK_S = 1.0
_BLOCKED = "the event loop is blocked"

Check = Callable[[], Awaitable[None]]
"""Raises if the part does not answer."""


@dataclass
class Health:
    """The health of a worker. ``state`` says why it takes no work, such as ``draining``, and is empty if it does."""

    loop: asyncio.AbstractEventLoop
    checks: Mapping[str, Check]
    state: str = "starting"
    timeout_s: float = 2.0
    kept_s: float = 5.0  # so that probes do not open a database connection each
    ticked_at: float = field(default_factory=time.monotonic, init=False)
    _failed: list[str] = field(default_factory=list, init=False)
    _checked_at: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        """Start to note that the loop runs. Call it in the loop's thread."""
        self._tick()

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
        if not readiness:
            return [_BLOCKED] if time.monotonic() - self.ticked_at > BLOCKED_AFTER_S else []
        checking = asyncio.run_coroutine_threadsafe(self._check(), self.loop)
        try:
            failed = checking.result(2 * self.timeout_s)
        except TimeoutError:
            checking.cancel()
            return [_BLOCKED]
        return [self.state, *failed] if self.state else failed

    def _tick(self) -> None:
        self.ticked_at = time.monotonic()
        self.loop.call_later(_TICK_S, self._tick)

    async def _check(self) -> list[str]:
        async def failure(part: str, check: Check) -> str | None:
            try:
                async with asyncio.timeout(self.timeout_s):
                    await check()
            except (RPCError, psycopg.Error, DatabaseUnreachableError, OSError, TimeoutError) as error:
                return f"{part} does not answer ({type(error).__name__})"  # the message may contain an address
            return None

        if time.monotonic() - self._checked_at < self.kept_s:
            return self._failed
        found = await asyncio.gather(*(failure(part, check) for part, check in self.checks.items()))
        failed = [problem for problem in found if problem is not None]
        if failed != self._failed:
            log.warning("worker_readiness", failed=failed)
        self._failed, self._checked_at = failed, time.monotonic()
        return failed


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
