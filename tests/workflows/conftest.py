"""Two real Temporal servers for the session, each with production workflows and worker options.

- ``dev``: the dev server.
- ``skipping``: skips time while a run only waits, for time-outs and deadlines. Its workers cache no workflow, so every
  workflow task replays the whole history.

After each test the histories of its runs are replayed, and searched for what may not be in them.
"""

import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.worker_shutdown import RescheduleOnShutdown
from domain.request.run_request import RunRequest, workflow_id_of
from runtime.worker import workflow_runner
from tests.histories.replay import replayer
from tests.workflows.fake_run import Ending, FakeRun
from tests.workflows.live_run import LiveRun
from tests.workflows.world import World
from workflows.company import CompanyWorkflow
from workflows.lead_list import LeadListWorkflow
from workflows.messages import LeadListInput
from workflows.names import AGENT_TASK_QUEUE, SEARCH_ATTRIBUTES, TASK_QUEUE

PAYLOAD_BYTES_MAX = 64_000
_replayed: set[tuple[tuple[int, str], ...]] = set()
_BIN = Path(sys.executable).parent

StartRun = Callable[..., Awaitable[LiveRun]]


@dataclass(frozen=True)
class Server:
    """A server with its workers and the activities of their runs."""

    environment: WorkflowEnvironment
    world: World

    @property
    def client(self) -> Client:
        return self.environment.client


@contextlib.asynccontextmanager
async def working(
    environment: WorkflowEnvironment,
    cached_workflows_max: int = 1000,
    world: World | None = None,
    drain: timedelta = timedelta(0),
) -> AsyncIterator[Server]:
    """The two workers of a process, with the activities of ``World``."""
    world = world or World()
    # A cancellation reaches an activity with its next heartbeat, so tests send them often.
    heartbeats = timedelta(milliseconds=50)
    flows = Worker(
        environment.client,
        task_queue=TASK_QUEUE,
        workflows=[LeadListWorkflow, CompanyWorkflow],
        activities=world.other_activities(),
        workflow_runner=workflow_runner(),
        workflow_failure_exception_types=[Exception],
        max_heartbeat_throttle_interval=heartbeats,
        max_cached_workflows=cached_workflows_max,
        graceful_shutdown_timeout=drain,
        interceptors=[RescheduleOnShutdown()],
    )
    agents = Worker(
        environment.client,
        task_queue=AGENT_TASK_QUEUE,
        activities=world.agent_calls(),
        max_heartbeat_throttle_interval=heartbeats,
        graceful_shutdown_timeout=drain,
        interceptors=[RescheduleOnShutdown()],
    )
    async with flows, agents:
        yield Server(environment, world)


@pytest.fixture(scope="session")
async def dev_server() -> AsyncIterator[Server]:
    async with open_dev_server() as server:
        yield server


@pytest.fixture(scope="session")
async def skipping_server() -> AsyncIterator[Server]:
    async with open_skipping_server() as server:
        yield server


@contextlib.asynccontextmanager
async def open_dev_server() -> AsyncIterator[Server]:
    async with await start_dev_environment() as environment, working(environment) as server:
        yield server


async def start_dev_environment() -> WorkflowEnvironment:
    return await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(_BIN / "temporal"),
        data_converter=pydantic_data_converter,
        search_attributes=SEARCH_ATTRIBUTES,
        dev_server_log_level="never",
    )


@contextlib.asynccontextmanager
async def open_skipping_server() -> AsyncIterator[Server]:
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(_BIN / "temporal-test-server"), data_converter=pydantic_data_converter
    )
    async with environment:
        # This server takes search attributes but cannot list them, so ``register_search_attributes`` does not fit it.
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=environment.client.namespace,
                search_attributes={key.name: int(key.indexed_value_type) for key in SEARCH_ATTRIBUTES},  # type: ignore[misc]
            )
        )
        async with working(environment, cached_workflows_max=0) as server:
            yield server


@pytest.fixture
async def start(dev_server: Server) -> AsyncIterator[StartRun]:
    """Start runs on the dev server."""
    async with starting(dev_server) as start_run:
        yield start_run


@pytest.fixture
async def start_skipping(skipping_server: Server) -> AsyncIterator[StartRun]:
    """Start runs on the time-skipping server."""
    async with starting(skipping_server) as start_run:
        yield start_run


@contextlib.asynccontextmanager
async def starting(server: Server) -> AsyncIterator[StartRun]:
    """A function that starts runs. At its end they are terminated, replayed and checked."""
    runs: list[LiveRun] = []

    async def start_run(request: RunRequest, *tasks: list[Ending], prepare: Callable[[FakeRun], Any] = id) -> LiveRun:
        stored = FakeRun(request, *tasks)
        prepare(stored)
        server.world.runs[request.run_id] = stored
        handle = await server.client.start_workflow(
            LeadListWorkflow.run,
            LeadListInput(request=request),
            id=workflow_id_of(request.run_id),
            task_queue=TASK_QUEUE,
        )
        runs.append(LiveRun(stored, server.client, handle))
        return runs[-1]

    yield start_run
    for run in runs:
        run.stored.release_all()
        if await run.status() is WorkflowExecutionStatus.RUNNING:
            await run.handle.terminate("the test is over")
    histories = [history for run in runs async for history in run.histories()]
    for history in histories:
        check_payloads(history)
    await replay(histories)


async def replay(histories: list[WorkflowHistory]) -> None:
    """Replay histories. Those with the same events are replayed once a session.

    Raises:
        RuntimeError: a workflow decides otherwise.
    """
    courses = {tuple(_course(event) for event in history.events): history for history in histories}

    async def each() -> AsyncIterator[WorkflowHistory]:
        for course, history in courses.items():
            if course not in _replayed:
                yield history

    results = await replayer().replay_workflows(each(), raise_on_replay_failure=False)
    failures = list(results.replay_failures.values())
    if failures:
        raise failures[0]
    _replayed.update(courses)


def _course(event: HistoryEvent) -> tuple[int, str]:
    return event.event_type, event.activity_task_scheduled_event_attributes.activity_type.name


def check_payloads(history: WorkflowHistory) -> None:
    """Check that no payload is large and nothing is an email address."""
    for event in history.events:
        for payloads in (
            event.activity_task_scheduled_event_attributes.input.payloads,
            event.activity_task_completed_event_attributes.result.payloads,
        ):
            for payload in payloads:
                assert len(payload.data) <= PAYLOAD_BYTES_MAX, f"event {event.event_id} of {history.workflow_id}"
        for written in texts_in(event):
            assert b"@" not in written, f"event {event.event_id} of {history.workflow_id} holds an address"


def texts_in(message: Message) -> Iterator[bytes]:
    """Every payload and failure message. Not ``identity``, which is process@machine."""
    if isinstance(message, Payload):
        yield message.data
        return
    if isinstance(message, Failure):
        yield message.message.encode()
    for _, value in message.ListFields():
        if isinstance(value, Message):
            yield from texts_in(value)
        elif not isinstance(value, (str, bytes, int, float)):
            for each in value.values() if hasattr(value, "values") else value:
                if isinstance(each, Message):
                    yield from texts_in(each)
