"""Is a task lost when a worker stops? ``python -m bench.drains [--seconds 120] [--polls 1] [--several-partitions]``.

Activities of 50 ms keep two workers busy while one of them is stopped and started twice a second. The options show whether the
settings in ``runtime/worker.py`` and ``local/temporal_server.py`` are still needed.
"""

import asyncio
import sys
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
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from evals.harness import command, stack_directory
from local import temporal_server
from local.processes import Child, ChildSpec
from local.temporal_server import DYNAMIC_CONFIG, TemporalServer, start_temporal
from runtime.process import run_async
from runtime.worker import ACTIVITY_POLLS

_ACTIVITIES, _WORKFLOWS = "activities", "workflows"
_OPEN_WORKFLOWS = 12
_ACTIVITY_S = 0.05
_STOP_AFTER_S = 0.5


@activity.defn
async def short_activity() -> None:
    await asyncio.sleep(_ACTIVITY_S)


@workflow.defn
class Chain:
    """One activity after the other, until it is told to stop."""

    def __init__(self) -> None:
        self._is_over = False

    @workflow.signal
    def end(self) -> None:
        self._is_over = True

    @workflow.run
    async def run(self) -> None:
        while not self._is_over:
            await workflow.execute_activity(
                short_activity,
                task_queue=_ACTIVITIES,
                start_to_close_timeout=timedelta(seconds=60),
                heartbeat_timeout=timedelta(seconds=4),
            )


def main(
    seconds: Annotated[int, typer.Option(min=1, max=1_000, help="How long workers are stopped and started.")] = 120,
    polls: Annotated[
        int, typer.Option(min=1, help="Activity polls that a worker has open at a time.")
    ] = ACTIVITY_POLLS,
    several_partitions: Annotated[bool, typer.Option(help="As on a server with its own defaults.")] = False,
) -> None:
    """Stop and start workers under load. Exits 1 when an activity had to be started twice."""
    with stack_directory() as directory:
        drains, activities, lost = run_async(_measure(directory, seconds, polls, several=several_partitions))
    options = " ".join(sys.argv[1:])
    print(
        f"Measured {datetime.now(UTC):%Y-%m-%d}, `python -m bench.drains {options}`.\n\n"
        "| polls of a worker | partitions | drains | activities | lost |\n|---|---|---|---|---|\n"
        f"| {polls} | {'several' if several_partitions else 'one'} | {drains} | {activities} | {lost.total()} |"
    )
    for reason, times in lost.items():
        print(f"{times} × {reason}", file=sys.stderr)
    raise typer.Exit(1 if lost else 0)


async def _measure(directory: Path, seconds: int, polls: int, *, several: bool) -> tuple[int, int, Counter[str]]:
    """Returns the drains, the activities started, and why each later attempt was needed."""
    ends_s, drains = time.monotonic() + seconds, 0
    async with _server(directory, several=several) as server:
        client = await Client.connect(server.address)
        async with (
            Worker(client, task_queue=_WORKFLOWS, workflows=[Chain], workflow_runner=UnsandboxedWorkflowRunner()),
            _worker(client, polls),
        ):
            chains = [
                await client.start_workflow(Chain.run, id=f"chain-{number}", task_queue=_WORKFLOWS)
                for number in range(_OPEN_WORKFLOWS)
            ]
            while time.monotonic() < ends_s:
                # A connection of its own: a process has one worker per connection and task queue.
                async with _worker(await Client.connect(server.address), polls):
                    await asyncio.sleep(_STOP_AFTER_S)
                drains += 1
            for chain in chains:
                await chain.signal(Chain.end)
            await asyncio.gather(*(chain.result() for chain in chains))
        activities, lost = 0, Counter[str]()
        for chain in chains:
            async for event in chain.fetch_history_events():
                if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                    started = event.activity_task_started_event_attributes
                    activities += 1
                    if started.attempt > 1:
                        lost[started.last_failure.message] += started.attempt - 1
        return drains, activities, lost


def _worker(client: Client, polls: int) -> Worker:
    return Worker(
        client,
        task_queue=_ACTIVITIES,
        activities=[short_activity],
        max_concurrent_activities=8,
        max_concurrent_activity_task_polls=polls,
        graceful_shutdown_timeout=timedelta(seconds=5),
    )


@asynccontextmanager
async def _server(directory: Path, *, several: bool) -> AsyncIterator[TemporalServer]:
    children: list[Child] = []

    def spawn(spec: ChildSpec) -> Child:
        children.append(Child(spec))
        return children[-1]

    (directory / "logs").mkdir()
    config = tuple(value for value in DYNAMIC_CONFIG if not (several and "Partitions" in value))
    try:
        with mock.patch.object(temporal_server, "DYNAMIC_CONFIG", config):
            yield await start_temporal(directory, None, None, spawn)
    finally:
        for child in children:
            await child.stop()


if __name__ == "__main__":
    command(main)
