"""The embedded stack with every part in reach: each server and worker can be killed, stopped and restarted.

Workers talk to the demo's model, search and web through proxies (``chaos_proxy.py``). A worker that ends is restarted.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from temporalio.client import Client

from bench.chaos_proxy import FaultyProxy
from local.demo.world import generate_world
from local.postgres import PostgresServer, start_postgres
from local.postgres_home import open_to_postgres
from local.processes import Child, ChildSpec
from local.stack import PROJECT, WORKER_COMMAND, StackOptions
from local.temporal_server import TemporalServer, start_temporal
from runtime.connection import Endpoints, connect
from runtime.local_session import endpoints_of, local_session
from settings import STOP_MARGIN_S
from store.database import SCHEMA, Connection, DatabaseUnreachableError, one_connection
from web.result_cache import CLAIM_S

AGENT_SLOTS = 8  # so model calls that one worker has in flight at most
WORKERS = 2
_MODEL_TIMEOUT_S = 8
_DRAIN_S = 20
_SETTINGS = {
    "AGENT_SLOTS": str(AGENT_SLOTS),
    "MODEL_TIMEOUT_S": str(_MODEL_TIMEOUT_S),
    "PAGE_TIMEOUT_S": "5",
    "WORKER_DRAIN_S": str(_DRAIN_S),
    "LOG_FORMAT": "json",
}
_LATENCY_S = 0.25  # of model and search, so that a kill has something in flight; real ones take longer
_POLL_S = 0.05
_RESTART_PAUSE_S = 0.3


class WorkerProcess:
    """One worker, restarted whenever it ends.

    Attributes:
        crashes: how often it ended by itself, or badly. A worker that can't start while a server is away does not count.
    """

    def __init__(self, spec: ChildSpec, ready_file: Path, server_is_away_since: Callable[[float], bool]) -> None:
        self.crashes = 0
        self._server_is_away_since = server_is_away_since
        self._spec = spec
        self._ready_file = ready_file
        self._child: Child | None = None
        self._asked: signal.Signals | None = None
        self._task = asyncio.create_task(self._supervise())

    @property
    def is_ready(self) -> bool:
        """Whether it polls for work, and was not asked to end."""
        runs = self._child is not None and not self._child.ended
        return runs and self._asked is None and self._ready_file.exists()

    def kill(self) -> None:
        if self._child is not None:
            self._asked = signal.SIGKILL
            self._child.kill()

    async def drain(self) -> None:
        """Send SIGTERM and wait for the end."""
        if self._child is not None:
            self._asked = signal.SIGTERM
            await self._child.stop()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._child is not None:
            self._child.kill()

    async def _supervise(self) -> None:
        while True:
            self._ready_file.unlink(missing_ok=True)
            started_s = asyncio.get_running_loop().time()
            child = self._child = Child(self._spec)
            await until(lambda child=child: child.ended)  # type: ignore[misc]
            match self._asked:
                case signal.SIGKILL:
                    pass
                case signal.SIGTERM:
                    self.crashes += child.exit_code != 0
                case _:
                    self.crashes += self._ready_file.exists() or not self._server_is_away_since(started_s)
            await asyncio.sleep(_RESTART_PAUSE_S)
            self._asked = None


class ChaosStack:
    """Servers, the demo behind proxies, and workers.

    Attributes:
        silent_sites: domains of the demo's sites that never answer.
    """

    def __init__(self, directory: Path, silent_sites: frozenset[str]) -> None:
        self.silent_sites = silent_sites
        self.model = FaultyProxy(latency_s=_LATENCY_S)
        self.search = FaultyProxy(latency_s=_LATENCY_S)
        self.web = FaultyProxy(follows_client=True)
        self.workers: list[WorkerProcess] = []
        self.endpoints: Endpoints
        self.client: Client
        self._directory = directory
        self._children: dict[str, Child] = {}
        self._postgres: PostgresServer
        self._temporal: TemporalServer
        self._server_is_away = False
        self._server_back_s = float("-inf")

    async def start_servers(self, seed: int) -> StackOptions:
        """Start Postgres and Temporal. Returns what to start beside them."""
        self._postgres = await start_postgres(self._directory, None, self._spawn)
        self._temporal = await start_temporal(self._directory, None, None, self._spawn)
        return StackOptions(
            directory=self._directory / "demo",
            workers=0,
            external_temporal_address=self._temporal.address,
            external_database_url=self._postgres.database_url,
            demo_seed=seed,
        )

    async def start_workers(self, environment: dict[str, str]) -> None:
        """Start the workers with these variables on top of the caller's, and wait until they are ready."""
        for number in range(1, WORKERS + 1):
            ready_file = self._directory / f"worker-{number}.ready"
            spec = ChildSpec(
                name=f"worker-{number}",
                command=WORKER_COMMAND,
                environment={**os.environ, **environment, **_SETTINGS, "WORKER_READY_FILE": str(ready_file)},
                cwd=PROJECT,
                log_path=self._directory / "logs" / f"worker-{number}.log",
                grace_s=_DRAIN_S + STOP_MARGIN_S,
            )
            self.workers.append(WorkerProcess(spec, ready_file, self._is_away_since))
        await self.ready_workers(WORKERS)

    async def close(self) -> None:
        for worker in self.workers:
            await worker.close()
        for proxy in (self.model, self.search, self.web):
            await proxy.close()
        for server in reversed(self._children.values()):
            await server.stop()

    async def ready_workers(self, count: int = 1) -> list[WorkerProcess]:
        """The workers that poll, as soon as there are this many."""
        await until(lambda: sum(worker.is_ready for worker in self.workers) >= count)
        return [worker for worker in self.workers if worker.is_ready]

    async def restart_postgres(self, rng: random.Random) -> None:
        """In order, or as after a crash. It is away for up to 3 s."""
        child = self._children["postgres"]
        self._server_is_away = True
        if rng.random() < 0.5:
            os.kill(child.identity.pid, signal.SIGQUIT)
            await child.wait(child.spec.grace_s)
        await child.stop()
        await asyncio.sleep(rng.uniform(0, 3))
        self._postgres = await start_postgres(self._directory, self._postgres.port, self._spawn)
        self._server_is_back()

    async def restart_temporal(self, rng: random.Random) -> None:
        """In order, or killed. It is away for up to 3 s."""
        child = self._children["temporal"]
        self._server_is_away = True
        if rng.random() < 0.5:
            child.kill()
        await child.stop()
        await asyncio.sleep(rng.uniform(0, 3))
        port = int(self._temporal.address.rpartition(":")[2])
        self._temporal = await start_temporal(self._directory, port, self._temporal.ui_port, self._spawn)
        self._server_is_back()

    def _server_is_back(self) -> None:
        self._server_is_away = False
        self._server_back_s = asyncio.get_running_loop().time()

    def _is_away_since(self, moment_s: float) -> bool:
        """Whether a server is away, or came back after this moment of the loop's clock."""
        return self._server_is_away or self._server_back_s > moment_s

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Connection]:
        """A new connection in autocommit: an old one would not survive a restart.

        Raises:
            DatabaseUnreachableError: Postgres is away.
        """
        async with one_connection(self.endpoints.database()) as conn:
            await conn.set_autocommit(True)
            yield conn

    async def unstored_calls(self) -> int:
        """Model calls that are reserved and may still be answered. 0 while Postgres is away."""
        return await self._count(
            "SELECT count(*) FROM agent_turns WHERE status = 'reserved' AND created_at > now() - %s * interval '1 s'",
            _MODEL_TIMEOUT_S + 2,
        )

    async def unstored_searches(self) -> int:
        """Searches whose claim was renewed lately. 0 while Postgres is away."""
        return await self._count(
            "SELECT count(*) FROM tool_calls_in_flight"
            " WHERE tool = 'search_web' AND expires_at > clock_timestamp() + %s * interval '1 s'",
            CLAIM_S / 2,
        )

    async def _count(self, query: str, seconds: float) -> int:
        try:
            async with self.database() as conn:
                row = await (await conn.execute(query.encode(), (seconds,))).fetchone()
        except (psycopg.OperationalError, DatabaseUnreachableError):
            return 0
        return int(row["count"]) if row else 0

    async def clear(self) -> None:
        """Delete all rows but the suppression list, so that the next run finds nothing paid for, and count from zero."""
        async with self.database() as conn:
            cursor = await conn.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename !~ 'yoyo|^suppression_domains$'",
                (SCHEMA,),
            )
            tables = [sql.Identifier(SCHEMA, row["tablename"]) for row in await cursor.fetchall()]
            await conn.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(sql.SQL(", ").join(tables)))
        for proxy in (self.model, self.search, self.web):
            proxy.reset()
        for worker in self.workers:
            worker.crashes = 0

    def _spawn(self, spec: ChildSpec) -> Child:
        child = self._children[spec.name] = Child(spec)
        return child


@asynccontextmanager
async def chaos_stack(directory: Path, seed: int) -> AsyncIterator[ChaosStack]:
    """The stack of one demo world."""
    open_to_postgres(directory)
    (directory / "logs").mkdir()
    sites = generate_world(seed).sites.values()
    stack = ChaosStack(directory, frozenset(site.host for site in sites if site.behaviour == "silent"))
    try:
        async with local_session(await stack.start_servers(seed)) as (_, addresses):
            stack.endpoints = endpoints_of(addresses)
            stack.client = await connect(addresses.temporal_address)
            through_proxies = {
                "OPENAI_BASE_URL": f"{await stack.model.listen(addresses.openai_base_url or '')}/v1",
                "SEARXNG_URL": await stack.search.listen(addresses.searxng_url or ""),
                "WEB_PROXY": await stack.web.listen(addresses.web_proxy or ""),
            }
            await stack.start_workers({**addresses.environment(), **through_proxies})
            yield stack
    finally:
        await stack.close()


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - another process makes it true, and cannot set an event
        await asyncio.sleep(_POLL_S)
