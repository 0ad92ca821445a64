"""The embedded stack with every part in reach: each server and worker can be killed, stopped and started again at its address.

Workers talk to the demo's model, search and web through proxies (``chaos_proxy.py``). A worker that ends is started again, as a process
manager does it.
"""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

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

AGENT_SLOTS = 8
"""Agent calls that one worker runs at a time, so model calls that it has in flight at the most."""
_SETTINGS = MappingProxyType(
    {
        "AGENT_SLOTS": str(AGENT_SLOTS),
        "MODEL_TIMEOUT_S": "8",
        "PAGE_TIMEOUT_S": "5",
        "WORKER_DRAIN_S": "20",
        "LOG_FORMAT": "json",
    }
)
_DRAIN_GRACE_S = float(_SETTINGS["WORKER_DRAIN_S"]) + STOP_MARGIN_S
_MODEL_LATENCY_S = _SEARCH_LATENCY_S = 0.25  # so that a kill has something in flight; a real one takes longer
_POLL_S = 0.05
_LONG_S = 3600.0
_RESTART_PAUSE_S = 0.3


class Servers:
    """When a server was last away."""

    def __init__(self) -> None:
        self._away = 0
        self._back_s = float("-inf")

    def were_away_since(self, moment_s: float) -> bool:
        """Whether one is away now, or came back after this moment of the loop's clock."""
        return self._away > 0 or self._back_s > moment_s

    @contextmanager
    def one_away(self) -> Iterator[None]:
        """One is away while the block runs."""
        self._away += 1
        try:
            yield
        finally:
            self._away -= 1
            self._back_s = asyncio.get_running_loop().time()


class WorkerProcess:
    """One worker, started again whenever it ends.

    Attributes:
        ends: how its processes have ended: ``killed`` and ``drained`` as asked; by themselves ``turned_away``, before they were
            ready and after a server had been away since their start, or else ``failed``.
    """

    def __init__(self, spec: ChildSpec, ready_file: Path, servers: Servers) -> None:
        self.ends: Counter[str] = Counter()
        self._servers = servers
        self._spec = spec
        self._ready_file = ready_file
        self._child: Child | None = None
        self._asked: str | None = None
        self._task = asyncio.create_task(self._supervise())

    @property
    def is_ready(self) -> bool:
        """Whether it polls for work, and nobody has asked it to end."""
        running = self._child is not None and not self._child.ended
        return running and self._asked is None and self._ready_file.exists()

    def kill(self) -> None:
        """SIGKILL, now."""
        if self._child is not None:
            self._asked = "killed"
            self._child.kill()

    async def drain(self) -> None:
        """SIGTERM, and wait for the end."""
        if self._child is not None:
            self._asked = "drained"
            await self._child.stop()

    async def close(self) -> None:
        """End it for good."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._child is not None:
            self._child.kill()

    async def _supervise(self) -> None:
        while True:
            self._ready_file.unlink(missing_ok=True)
            started_s = asyncio.get_running_loop().time()
            child = self._child = Child(self._spec)
            while not await child.wait(_LONG_S):
                pass
            kept_its_word = self._asked == "killed" or (self._asked == "drained" and child.exit_code == 0)
            if self._asked and kept_its_word:
                self.ends[self._asked] += 1
            elif self._asked is None and not self._ready_file.exists() and self._servers.were_away_since(started_s):
                self.ends["turned_away"] += 1
            else:
                self.ends["failed"] += 1
            await asyncio.sleep(_RESTART_PAUSE_S)
            self._asked = None


class ChaosStack:
    """What runs: servers, demo behind proxies, workers.

    Attributes:
        silent_sites: domains of the demo's sites that never answer.
    """

    def __init__(self, directory: Path, silent_sites: frozenset[str]) -> None:
        self.silent_sites = silent_sites
        self.model = FaultyProxy(latency_s=_MODEL_LATENCY_S)
        self.search = FaultyProxy(latency_s=_SEARCH_LATENCY_S)
        self.web = FaultyProxy(follows_client=True)
        self.workers: list[WorkerProcess] = []
        self.endpoints: Endpoints
        self.client: Client
        self._directory = directory
        self._children: dict[str, Child] = {}
        self._servers = Servers()
        self._postgres: PostgresServer
        self._temporal: TemporalServer

    async def start_servers(self) -> StackOptions:
        """Start Postgres and Temporal. Returns what to start beside them."""
        self._postgres = await start_postgres(self._directory, None, self._spawn)
        self._temporal = await start_temporal(self._directory, None, None, self._spawn)
        return StackOptions(
            directory=self._directory / "demo",
            workers=0,
            external_temporal_address=self._temporal.address,
            external_database_url=self._postgres.database_url,
        )

    async def close(self) -> None:
        """End everything."""
        for worker in self.workers:
            await worker.close()
        for proxy in (self.model, self.search, self.web):
            await proxy.close()
        for server in reversed(self._children.values()):
            await server.stop()

    def start_workers(self, count: int, environment: dict[str, str]) -> None:
        """Start workers with these variables on top of the caller's."""
        for number in range(1, count + 1):
            ready_file = self._directory / f"worker-{number}.ready"
            spec = ChildSpec(
                name=f"worker-{number}",
                command=WORKER_COMMAND,
                environment={**os.environ, **environment, **_SETTINGS, "WORKER_READY_FILE": str(ready_file)},
                cwd=PROJECT,
                log_path=self._directory / "logs" / f"worker-{number}.log",
                grace_s=_DRAIN_GRACE_S,
            )
            self.workers.append(WorkerProcess(spec, ready_file, self._servers))

    async def ready_workers(self, count: int = 1) -> list[WorkerProcess]:
        """The workers that poll, as soon as they are that many."""
        await until(lambda: sum(worker.is_ready for worker in self.workers) >= count)
        return [worker for worker in self.workers if worker.is_ready]

    async def restart_postgres(self, rng: random.Random) -> None:
        """In order, or as after a crash; away for a moment either way."""
        child = self._children["postgres"]
        with self._servers.one_away():
            if rng.random() < 0.5:
                os.kill(child.identity.pid, signal.SIGQUIT)
                await child.wait(child.spec.grace_s)
            await child.stop()
            await asyncio.sleep(rng.uniform(0, 3))
            self._postgres = await start_postgres(self._directory, self._postgres.port, self._spawn)

    async def restart_temporal(self, rng: random.Random) -> None:
        """In order, or killed; away for a moment either way."""
        child = self._children["temporal"]
        with self._servers.one_away():
            if rng.random() < 0.5:
                child.kill()
            await child.stop()
            await asyncio.sleep(rng.uniform(0, 3))
            port, ui_port = int(self._temporal.address.rsplit(":", 1)[1]), urlsplit(self._temporal.ui_url).port
            self._temporal = await start_temporal(self._directory, port, ui_port, self._spawn)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Connection]:
        """A connection of its own, each statement for itself: one that is kept does not live through a restart.

        Raises:
            DatabaseUnreachableError: Postgres is away just now.
        """
        async with one_connection(self.endpoints.database()) as conn:
            await conn.set_autocommit(True)
            yield conn

    async def unstored_calls(self) -> int:
        """Calls of the model that are reserved and not settled, of the last moments. 0 while Postgres is away."""
        return await self._count(
            "SELECT count(*) AS calls FROM agent_turns WHERE status = 'reserved' AND created_at > now() - %s * interval '1 s'",
            float(_SETTINGS["MODEL_TIMEOUT_S"]) + 2,
        )

    async def unstored_searches(self) -> int:
        """Searches that a worker has claimed, and renewed lately. 0 while Postgres is away."""
        return await self._count(
            "SELECT count(*) AS calls FROM tool_calls_in_flight WHERE tool = 'search_web' AND expires_at > clock_timestamp()"
            " + %s * interval '1 s'",
            CLAIM_S / 2,
        )

    async def _count(self, query: str, seconds: float) -> int:
        try:
            async with self.database() as conn:
                row = await (await conn.execute(query.encode(), (seconds,))).fetchone()
        except (psycopg.OperationalError, DatabaseUnreachableError):
            return 0
        return int(row["calls"]) if row else 0

    async def clear(self) -> None:
        """Delete all rows but the suppression list: the next run finds nothing that an earlier one has paid for."""
        async with self.database() as conn:
            cursor = await conn.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename !~ 'yoyo|^suppression_domains$'",
                (SCHEMA,),
            )
            tables = [sql.Identifier(SCHEMA, row["tablename"]) for row in await cursor.fetchall()]
            await conn.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(sql.SQL(", ").join(tables)))
        for proxy in (self.model, self.search, self.web):
            proxy.forget()

    def _spawn(self, spec: ChildSpec) -> Child:
        child = self._children[spec.name] = Child(spec)
        return child


@asynccontextmanager
async def chaos_stack(directory: Path, seed: int, *, workers: int = 2) -> AsyncIterator[ChaosStack]:
    """The stack of one demo world, for as long as the block runs."""
    _prepare(directory)
    sites = generate_world(seed).sites.values()
    stack = ChaosStack(directory, frozenset(site.host for site in sites if site.behaviour == "silent"))
    try:
        options = (await stack.start_servers()).model_copy(update={"demo_seed": seed})
        async with local_session(options) as (_, addresses):
            stack.endpoints = endpoints_of(addresses)
            stack.client = await connect(addresses.temporal_address)
            stack.model.lead_to(addresses.openai_base_url or "")
            stack.search.lead_to(addresses.searxng_url or "")
            stack.web.lead_to(addresses.web_proxy or "")
            between = {
                "OPENAI_BASE_URL": f"{await stack.model.listen()}/v1",
                "SEARXNG_URL": await stack.search.listen(),
                "WEB_PROXY": await stack.web.listen(),
            }
            stack.start_workers(workers, {**addresses.environment(), **between})
            await stack.ready_workers(workers)
            yield stack
    finally:
        await stack.close()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something outside this process has come about."""
    while not is_so():  # noqa: ASYNC110 - nobody here could set an event
        await asyncio.sleep(_POLL_S)


def _prepare(directory: Path) -> None:
    directory.mkdir()
    open_to_postgres(directory)
    (directory / "logs").mkdir()
