"""The embedded stack: Postgres, Temporal's dev server, the demo servers and workers, started and stopped as one.

Lives here: what is started, in which order, and how it ends. What each server needs is in `postgres.py` and
`temporal_server.py`, how children are held in `processes.py`, the directory's files in `stack_state.py`. Migrations,
seed data and signals (Ctrl-C, SIGTERM) belong to the command that runs the stack.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
from pydantic import BaseModel, Field, ValidationError, model_validator

from local.demo.world import DEFAULT_SEED
from local.postgres import PostgresServer, start_postgres
from local.processes import Child, ChildSpec, ProcessIdentity, StackError, stop_leftover
from local.stack_state import (
    StackAddresses,
    StackAlreadyRunning,
    StackDirectory,
    StackRecord,
    read_record,
    running_stack,
)
from local.temporal_server import TemporalServer, start_temporal
from settings import STOP_MARGIN_S

__all__ = ["LocalStack", "StackAddresses", "StackAlreadyRunning", "StackError", "StackOptions", "running_stack"]

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PROJECT = Path(__file__).resolve().parent.parent
WORKER_COMMAND = (sys.executable, "worker.py")
DEMO_COMMAND = (sys.executable, "-m", "local.demo")
DEMO_READY_TIMEOUT_S = 30.0
DEMO_GRACE_S = 5.0
WORKER_READY_TIMEOUT_S = 60.0
WORKER_RESTARTS_MAX, WORKER_RESTART_WINDOW_S = 5, 60.0
WORKER_DRAIN_MAX_S = 20.0  # whoever presses Ctrl-C waits for it
WORKER_GRACE_S = WORKER_DRAIN_MAX_S + STOP_MARGIN_S
WATCH_INTERVAL_S = 0.2
# Workers before what they use; the database last.
STOP_ORDER = ("worker", "demo", "temporal", "initdb", "postgres")

Port = Field(default=None, ge=1, le=65535)


class StackOptions(BaseModel, frozen=True, extra="forbid"):
    """What to start. A port that is not given is a free one; a part with an external address is not started."""

    directory: Path = Path(".local")
    workers: int = Field(default=1, ge=0)
    temporal_port: int | None = Port
    ui_port: int | None = Port
    postgres_port: int | None = Port
    external_temporal_address: str | None = None
    external_database_url: str | None = Field(default=None, repr=False)
    demo_web: bool = True
    demo_model: bool = True
    demo_seed: int = DEFAULT_SEED
    extra_env: dict[str, str] = Field(default_factory=dict, repr=False)  # for the workers and the demo; may hold keys

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = [port for port in (self.temporal_port, self.ui_port, self.postgres_port) if port is not None]
        if len(set(ports)) != len(ports):
            raise ValueError("temporal_port, ui_port and postgres_port must differ")
        return self


class LocalStack:
    """One supervisor of one stack directory, for one start and one stop.

    Use it as `async with LocalStack(options) as stack:` and call `start_servers`, then `start_workers`; leaving the
    block stops everything. Children end with the thread that starts them, so run it in the main thread.
    """

    def __init__(
        self,
        options: StackOptions,
        *,
        worker_command: Sequence[str] = WORKER_COMMAND,
        demo_command: Sequence[str] = DEMO_COMMAND,
    ) -> None:
        """Nothing is started or touched yet. Both commands run in the directory of the project."""
        self._options = options
        self._path = options.directory.expanduser().resolve()
        self._worker_command = tuple(worker_command)
        self._demo_command = tuple(demo_command)
        self._directory: StackDirectory | None = None
        self._children: dict[str, Child] = {}
        self._addresses: StackAddresses | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start_servers(self) -> StackAddresses:
        """Start every server that is wanted, side by side, and wait until all answer. If one fails, all are stopped.

        Raises:
            StackAlreadyRunning: another supervisor runs in this directory.
            StackError: a server cannot be started; the message ends with the last lines of its log.
        """
        if self._directory is not None or self._stopping is not None:
            raise StackError("this LocalStack was started before. Make a new one to start again.")
        self._directory = StackDirectory(self._path)
        try:
            leftovers = read_record(self._path)
            for identity in sorted(leftovers.children if leftovers else (), key=_stop_rank):
                await stop_leftover(identity)
            self._write_record()
            postgres, temporal, demo = await _all_or_none(self._postgres(), self._temporal(), self._demo())
            self._raise_if_stopping()
            self._addresses = self._join(postgres, temporal, demo)
            self._write_record()
            if temporal is not None:
                self._directory.keep_ui_port(temporal.ui_port)
        except BaseException:  # cancelled too: nothing may stay behind
            await self.stop()
            raise
        log.info("stack_ready", directory=str(self._path), temporal=self._addresses.temporal_address)
        return self._addresses

    async def start_workers(self) -> None:
        """Start the workers and wait until each polls.

        Raises:
            StackError: the servers are not started, or a worker ended or did not become ready. The caller stops.
        """
        if self._addresses is None:
            raise StackError("workers need the servers: call start_servers first.")
        await _all_or_none(*(self._worker(number) for number in range(1, self._options.workers + 1)))

    async def stop(self) -> None:
        """Stop everything in order: workers, demo, Temporal, Postgres. Safe to call again, and from several tasks.

        A caller that is cancelled leaves at once while the stop goes on; when the event loop ends before it is done,
        what still runs is killed.
        """
        if self._directory is None:
            return
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop_all(self._directory), name="stop-stack")
        await asyncio.shield(self._stopping)

    async def wait_until_broken(self) -> str:
        """Watch the children until one is lost for good; answer which and how, with the last lines of its log.

        A worker that dies is started again: what it held goes on in the next one. One that keeps dying is lost.
        """
        restarts: deque[float] = deque(maxlen=WORKER_RESTARTS_MAX)
        while self._stopping is None:
            for name, child in list(self._children.items()):
                if not child.ended or name == "initdb":
                    continue
                often = (
                    len(restarts) == WORKER_RESTARTS_MAX and time.monotonic() - restarts[0] < WORKER_RESTART_WINDOW_S
                )
                if not name.startswith("worker-") or often:
                    return child.describe_end()
                log.warning("worker_restarted", worker=name, end=child.describe_end().splitlines()[0])
                restarts.append(time.monotonic())
                try:
                    await self._worker(int(name.removeprefix("worker-")))
                except StackError as error:
                    return str(error)
            await asyncio.sleep(WATCH_INTERVAL_S)
        return "the stack was stopped"

    async def _postgres(self) -> PostgresServer | None:
        if self._options.external_database_url is not None:
            return None
        return await start_postgres(self._path, self._options.postgres_port, self._spawn)

    async def _temporal(self) -> TemporalServer | None:
        if self._options.external_temporal_address is not None:
            return None
        last = self._directory.last_ui_port if self._directory is not None else None
        options = self._options
        return await start_temporal(self._path, options.temporal_port, options.ui_port, self._spawn, last_ui_port=last)

    async def _demo(self) -> _DemoServers | None:
        parts = ("web", "search") * self._options.demo_web + ("model",) * self._options.demo_model
        if not parts:
            return None
        ready_file = _no_file(self._path / "run" / "demo.json")
        seed = str(self._options.demo_seed)
        ports = ("--web-port", "0", "--search-port", "0", "--model-port", "0")
        what = ("serve", "--seed", seed, *ports, "--parts", ",".join(parts), "--ready-file", str(ready_file))
        environment = {**os.environ, **self._options.extra_env}
        child = self._spawn(self._project_child("demo", (*self._demo_command, *what), environment, DEMO_GRACE_S))
        await _wait_for_file(child, ready_file, DEMO_READY_TIMEOUT_S)
        try:
            servers = _DemoServers.model_validate_json(ready_file.read_bytes())
        except ValidationError as error:
            raise StackError(f"the demo wrote something else than its addresses to {ready_file}: {error}") from error
        missing = [name for name in servers.expected(parts) if getattr(servers, name) is None]
        if missing:
            raise StackError(f"the demo said nothing of {', '.join(missing)}. {child.log_tail()}")
        return servers

    async def _worker(self, number: int) -> None:
        if self._addresses is None:
            raise StackError("workers need the servers: call start_servers first.")
        environment = {**os.environ, **self._addresses.environment(), **self._options.extra_env}
        name = f"worker-{number}"
        ready_file = _no_file(self._path / "run" / f"{name}.ready")
        environment = {**environment, "WORKER_READY_FILE": str(ready_file)}
        child = self._spawn(self._project_child(name, self._worker_command, environment, WORKER_GRACE_S))
        await _wait_for_file(child, ready_file, WORKER_READY_TIMEOUT_S)

    def _project_child(
        self, name: str, command: Sequence[str], environment: dict[str, str], grace_s: float
    ) -> ChildSpec:
        return ChildSpec(
            name=name,
            command=tuple(command),
            environment=environment,
            cwd=PROJECT,
            log_path=self._path / "logs" / f"{name}.log",
            grace_s=grace_s,
        )

    def _spawn(self, spec: ChildSpec) -> Child:
        """Start a child and write down who it is, so that a later start can stop it if this process dies."""
        self._raise_if_stopping()
        child = self._children[spec.name] = Child(spec)
        self._write_record()
        return child

    def _raise_if_stopping(self) -> None:
        if self._stopping is not None:
            raise StackError("the stack was stopped while it was starting.")

    def _write_record(self) -> None:
        if self._directory is None:
            raise StackError("the stack's directory is not held.")
        self._directory.write(
            StackRecord(
                supervisor=ProcessIdentity.of_this_process("supervisor"),
                children=tuple(child.identity for child in self._children.values()),
                addresses=self._addresses,
            )
        )

    def _join(
        self, postgres: PostgresServer | None, temporal: TemporalServer | None, demo: _DemoServers | None
    ) -> StackAddresses:
        web = demo if self._options.demo_web else None
        model = demo if self._options.demo_model else None
        return StackAddresses(
            temporal_address=temporal.address if temporal else self._options.external_temporal_address or "",
            temporal_ui_url=temporal.ui_url if temporal else None,
            database_url=postgres.database_url if postgres else self._options.external_database_url or "",
            web_proxy=web.web_proxy if web else None,
            searxng_url=web.searxng_url if web else None,
            openai_base_url=model.openai_base_url if model else None,
            demo_seed=self._options.demo_seed if demo else None,
            pid=os.getpid(),
            started_at=datetime.now(UTC),
        )

    async def _stop_all(self, directory: StackDirectory) -> None:
        try:
            for rank in range(len(STOP_ORDER)):
                children = [child for child in self._children.values() if _stop_rank(child.identity) == rank]
                await asyncio.gather(*(child.stop() for child in children))
        finally:  # also if the loop is being closed under us: end what is left rather than leave it
            for child in sorted(self._children.values(), key=lambda child: _stop_rank(child.identity)):
                child.kill()
            directory.release()
        log.info("stack_stopped", directory=str(self._path))


class _DemoServers(BaseModel, frozen=True):
    """What the demo writes to its ready file; null for a part that was not asked for."""

    web_proxy: str | None = None
    searxng_url: str | None = None
    openai_base_url: str | None = None

    @staticmethod
    def expected(parts: Sequence[str]) -> list[str]:
        names = {"web": "web_proxy", "search": "searxng_url", "model": "openai_base_url"}
        return [names[part] for part in parts]


def _stop_rank(identity: ProcessIdentity) -> int:
    kind = identity.name.split("-")[0]
    return STOP_ORDER.index(kind) if kind in STOP_ORDER else 0  # a record may come from another version


async def _all_or_none(*starts: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run the starts side by side. The first failure cancels the others and is raised as it is."""
    tasks = [asyncio.create_task(start) for start in starts]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _no_file(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return path


async def _wait_for_file(child: Child, path: Path, timeout_s: float) -> None:
    async def missing() -> str | None:
        return None if os.access(path, os.R_OK) else f"{path} was not written"

    await child.wait_until_ready(missing, timeout_s)
