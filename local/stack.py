"""The embedded stack: Postgres, Temporal's dev server, the demo servers and workers.

The command that runs the stack handles migrations, seed data, Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
from pydantic import BaseModel, Field, model_validator

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
WORKER_DRAIN_MAX_S = 20.0  # someone who pressed Ctrl-C is waiting
WORKER_GRACE_S = WORKER_DRAIN_MAX_S + STOP_MARGIN_S
WATCH_INTERVAL_S = 0.2
STOP_ORDER = ("worker", "demo", "temporal", "postgres")  # workers first, then the servers they use

Port = Field(default=None, ge=1, le=65535)


class StackOptions(BaseModel, frozen=True, extra="forbid"):
    """What to start. Without a port, a free one is chosen. A part with an external address is not started."""

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
    extra_env: dict[str, str] = Field(default_factory=dict, repr=False)  # for workers and demo; may contain keys

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = [port for port in (self.temporal_port, self.ui_port, self.postgres_port) if port is not None]
        if len(set(ports)) != len(ports):
            raise ValueError("temporal_port, ui_port and postgres_port must differ")
        return self


class LocalStack:
    """The supervisor of one stack directory: `async with LocalStack(options) as stack:`, then start servers and workers.

    Everything stops at the end of the block. Use it in the main thread, because children end with the thread that started them.
    """

    _directory: StackDirectory

    def __init__(
        self,
        options: StackOptions,
        *,
        worker_command: Sequence[str] = WORKER_COMMAND,
        demo_command: Sequence[str] = DEMO_COMMAND,
    ) -> None:
        """Start nothing yet. Both commands run in the project directory."""
        self._options = options
        self._path = options.directory.expanduser().resolve()
        self._worker_command = tuple(worker_command)
        self._demo_command = tuple(demo_command)
        self._children: dict[str, Child] = {}
        self._addresses: StackAddresses | None = None
        self._ui_port: int | None = None

    async def __aenter__(self) -> Self:
        """Lock the directory, and stop what a killed supervisor left running.

        Raises:
            StackAlreadyRunning: another supervisor runs in this directory.
            StackError: the directory cannot be used, or a leftover process does not end.
        """
        self._directory = StackDirectory(self._path)
        try:
            if record := read_record(self._path):
                self._ui_port = record.ui_port
                for identity in sorted(record.children, key=_stop_rank):
                    if process := identity.find():
                        await stop_leftover(process, signal.SIGINT, signal.SIGKILL)  # SIGINT is "fast" for Postgres
            self._write_record()
        except BaseException:  # a cancelled start must release the directory too
            self._directory.release()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop workers, demo, Temporal and Postgres, in this order.

        If cancelled, return at once and continue stopping. If the event loop ends first, kill the rest.
        """
        await asyncio.shield(asyncio.create_task(self._stop(), name="stop-stack"))

    async def start_servers(self) -> StackAddresses:
        """Start all servers in parallel and wait until they answer.

        Raises:
            StackError: a server cannot be started. The message has the last lines of its log.
        """
        postgres, temporal, demo = await _all_or_none(self._postgres(), self._temporal(), self._demo())
        self._addresses = self._joined(postgres, temporal, demo)
        self._ui_port = temporal.ui_port if temporal else self._ui_port
        self._write_record()
        log.info("stack_ready", directory=str(self._path), temporal=self._addresses.temporal_address)
        return self._addresses

    async def start_workers(self) -> None:
        """Start the workers and wait until each one polls.

        Raises:
            StackError: a worker ended or did not become ready.
        """
        await _all_or_none(*(self._worker(number) for number in range(1, self._options.workers + 1)))

    async def wait_until_broken(self) -> str:
        """Watch the children, and restart workers that die. Returns when a server ends or workers die too often.

        Returns:
            Which child ended and how, with the last lines of its log.
        """
        restarts: deque[float] = deque(maxlen=WORKER_RESTARTS_MAX)
        while True:
            for name, child in self._children.copy().items():
                if not child.ended:
                    continue
                full = len(restarts) == WORKER_RESTARTS_MAX
                if not name.startswith("worker-") or (
                    full and time.monotonic() - restarts[0] < WORKER_RESTART_WINDOW_S
                ):
                    return child.describe_end()
                log.warning("worker_restarted", worker=name, end=child.describe_end().splitlines()[0])
                restarts.append(time.monotonic())
                try:
                    await self._worker(int(name.removeprefix("worker-")))
                except StackError as error:
                    return str(error)
            await asyncio.sleep(WATCH_INTERVAL_S)

    async def _postgres(self) -> PostgresServer | None:
        if self._options.external_database_url is not None:
            return None
        return await start_postgres(self._path, self._options.postgres_port, self._spawn)

    async def _temporal(self) -> TemporalServer | None:
        options, last = self._options, self._ui_port
        if options.external_temporal_address is not None:
            return None
        return await start_temporal(self._path, options.temporal_port, options.ui_port, self._spawn, last_ui_port=last)

    async def _demo(self) -> _DemoServers:
        parts = ("web", "search") * self._options.demo_web + ("model",) * self._options.demo_model
        if not parts:
            return _DemoServers()
        ready_file = self._path / "run" / "demo.json"
        ports = ("--web-port", "0", "--search-port", "0", "--model-port", "0")
        seed = str(self._options.demo_seed)
        what = ("serve", "--seed", seed, *ports, "--parts", ",".join(parts), "--ready-file", str(ready_file))
        child = self._spawn_from_project("demo", (*self._demo_command, *what), ready_file, {}, DEMO_GRACE_S)
        await child.wait_until_ready(_missing(ready_file), DEMO_READY_TIMEOUT_S)
        return _DemoServers.model_validate_json(ready_file.read_bytes())

    async def _worker(self, number: int) -> None:
        if self._addresses is None:
            raise StackError("workers need the servers: call start_servers first.")
        name = f"worker-{number}"
        ready_file = self._path / "run" / f"{name}.ready"
        variables = {**self._addresses.environment(), "WORKER_READY_FILE": str(ready_file)}
        child = self._spawn_from_project(name, self._worker_command, ready_file, variables, WORKER_GRACE_S)
        await child.wait_until_ready(_missing(ready_file), WORKER_READY_TIMEOUT_S)

    def _spawn_from_project(
        self, name: str, command: tuple[str, ...], ready_file: Path, variables: dict[str, str], grace_s: float
    ) -> Child:
        ready_file.unlink(missing_ok=True)
        return self._spawn(
            ChildSpec(
                name=name,
                command=command,
                environment={**os.environ, **variables, **self._options.extra_env},
                cwd=PROJECT,
                log_path=self._path / "logs" / f"{name}.log",
                grace_s=grace_s,
            )
        )

    def _spawn(self, spec: ChildSpec) -> Child:
        """Start a child and record it. If this process is killed, the next start can stop the child."""
        child = self._children[spec.name] = Child(spec)
        self._write_record()
        return child

    def _write_record(self) -> None:
        self._directory.write(
            StackRecord(
                supervisor=ProcessIdentity.of("supervisor"),
                children=tuple(child.identity for child in self._children.values()),
                addresses=self._addresses,
                ui_port=self._ui_port,
            )
        )

    def _joined(
        self, postgres: PostgresServer | None, temporal: TemporalServer | None, demo: _DemoServers
    ) -> StackAddresses:
        options = self._options
        return StackAddresses(
            temporal_address=temporal.address if temporal else options.external_temporal_address or "",
            temporal_ui_url=temporal.ui_url if temporal else None,
            database_url=postgres.database_url if postgres else options.external_database_url or "",
            **demo.model_dump(),
            demo_seed=options.demo_seed if options.demo_web or options.demo_model else None,
            pid=os.getpid(),
            started_at=datetime.now(UTC),
        )

    async def _stop(self) -> None:
        try:
            for kind in STOP_ORDER:
                children = [child for name, child in self._children.items() if name.startswith(kind)]
                await asyncio.gather(*(child.stop() for child in children))
        finally:  # even while the event loop closes
            for child in sorted(self._children.values(), key=lambda child: _stop_rank(child.identity)):
                child.kill()
            self._children, self._addresses = {}, None
            with suppress(OSError):  # the directory may be gone
                self._write_record()
            self._directory.release()
        log.info("stack_stopped", directory=str(self._path))


class _DemoServers(BaseModel, frozen=True):
    """The content of the demo's ready file. A part that was not started is None."""

    web_proxy: str | None = None
    searxng_url: str | None = None
    openai_base_url: str | None = None


def _missing(ready_file: Path) -> Callable[[], Awaitable[str | None]]:
    """Return a check for ``wait_until_ready``: the child writes ``ready_file`` when it is ready."""

    async def missing() -> str | None:
        return None if os.access(ready_file, os.R_OK) else f"{ready_file} was not written"

    return missing


def _stop_rank(identity: ProcessIdentity) -> int:
    kind = identity.name.partition("-")[0]
    return STOP_ORDER.index(kind) if kind in STOP_ORDER else 0


async def _all_or_none(*starts: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run the starts in parallel. The first failure cancels the others and is raised."""
    tasks = [asyncio.create_task(start) for start in starts]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
