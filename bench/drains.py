"""Is a task lost when a worker stops? ``python -m bench.drains [--seconds 120] [--polls 1] [--several-partitions]``.

A task handed to a worker as it stops must not be lost. Activities of 50 ms keep two workers busy while one of them is stopped and
started twice a second. The options show whether the settings in ``worker.py`` and ``local/temporal_server.py`` are still needed. Exits 1
when an activity had to be begun twice.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from unittest import mock

import typer
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from local import temporal_server
from local.processes import Child, ChildSpec
from local.temporal_server import DYNAMIC_CONFIG, TemporalServer, start_temporal
from runtime.process import leave, run_async
from runtime.worker import ACTIVITY_POLLS

_STEPS, _FLOWS = "steps", "flows"
_OPEN_FLOWS = 12
_STEP_S = 0.05
_STOPS_AFTER_S = 0.5
_HEARTBEAT_S = 4


@activity.defn
async def step() -> None:
    """Take a moment."""
    await asyncio.sleep(_STEP_S)


@workflow.defn
class Flow:
    """One step after the other until it is told to stop."""

    def __init__(self) -> None:
        self._is_over = False

    @workflow.signal
    def end(self) -> None:
        """Take no further step."""
        self._is_over = True

    @workflow.run
    async def run(self) -> None:
        """Run."""
        while not self._is_over:
            await workflow.execute_activity(
                step,
                task_queue=_STEPS,
                start_to_close_timeout=timedelta(seconds=60),
                heartbeat_timeout=timedelta(seconds=_HEARTBEAT_S),
            )


def main(
    seconds: Annotated[int, typer.Option(min=1, max=1_000, help="How long workers are stopped and started.")] = 120,
    polls: Annotated[
        int, typer.Option(min=1, help="Polls for steps that a worker has open at a time.")
    ] = ACTIVITY_POLLS,
    several_partitions: Annotated[bool, typer.Option(help="As on a server with its own defaults.")] = False,
) -> None:
    """Stop and start workers under load; print what was lost."""
    lost = run_async(_measured(seconds, polls, several=several_partitions))
    raise typer.Exit(1 if lost else 0)


async def _measured(seconds: int, polls: int, *, several: bool) -> int:
    began, drains = time.monotonic(), 0
    async with _server(several=several) as server:
        client = await Client.connect(server.address)
        async with (
            Worker(client, task_queue=_FLOWS, workflows=[Flow], workflow_runner=UnsandboxedWorkflowRunner()),
            _worker(client, polls),
        ):
            flows = [
                await client.start_workflow(Flow.run, id=f"flow-{number}", task_queue=_FLOWS)
                for number in range(_OPEN_FLOWS)
            ]
            while time.monotonic() - began < seconds:
                # Of a connection of its own: a process has one worker of a queue for each.
                async with _worker(await Client.connect(server.address), polls):
                    await asyncio.sleep(_STOPS_AFTER_S)
                drains += 1
            for flow in flows:
                await flow.signal(Flow.end)
            await asyncio.gather(*(flow.result() for flow in flows))
        steps, lost = await _steps_and_lost(flows)
    command = " ".join(["python -m bench.drains", *sys.argv[1:]])
    sys.stdout.write(
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, `{command}`, {time.monotonic() - began:.0f} s.\n\n"
        "| polls of a worker | partitions | drains | steps | lost |\n|---|---|---|---|---|\n"
        f"| {polls} | {'several' if several else 'one'} | {drains} | {steps} | {lost.total()} |\n"
    )
    for reason, count in lost.items():
        sys.stderr.write(f"{count} × {reason}\n")
    return lost.total()


def _worker(client: Client, polls: int) -> Worker:
    return Worker(
        client,
        task_queue=_STEPS,
        activities=[step],
        max_concurrent_activities=8,
        max_concurrent_activity_task_polls=polls,
        graceful_shutdown_timeout=timedelta(seconds=5),
    )


async def _steps_and_lost(flows: list[WorkflowHandle[Flow, None]]) -> tuple[int, Counter[str]]:
    """How many steps were taken, and why those that took more than one attempt did."""
    steps, lost = 0, Counter[str]()
    for flow in flows:
        async for event in flow.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                started = event.activity_task_started_event_attributes
                steps += 1
                if started.attempt > 1:
                    lost[started.last_failure.message] += started.attempt - 1
    return steps, lost


@asynccontextmanager
async def _server(*, several: bool) -> AsyncIterator[TemporalServer]:
    children: list[Child] = []

    def spawn(spec: ChildSpec) -> Child:
        children.append(Child(spec))
        return children[-1]

    with tempfile.TemporaryDirectory(prefix="pm-bench-") as name:
        directory = Path(name)
        (directory / "logs").mkdir()
        try:
            config = tuple(value for value in DYNAMIC_CONFIG if not (several and "Partitions" in value))
            with mock.patch.object(temporal_server, "DYNAMIC_CONFIG", config):
                yield await start_temporal(directory, None, None, spawn)
        finally:
            for child in reversed(children):
                await child.stop()


if __name__ == "__main__":
    try:
        typer.run(main)
    except SystemExit as left:
        leave(left.code if isinstance(left.code, int) else 1)
