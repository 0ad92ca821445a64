"""Worker deployment versioning on the real server: the current build gets the work, and whoever gets none is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from domain.request.progress import RunStatus
from runtime.process import UserError
from runtime.worker_versions import QUEUES, build_id, check_may_work, current_build, has_workers, promote, take_up
from settings import Settings
from tests.workflows.conftest import Server, start_dev_environment, starting
from tests.workflows.fake_run import OK
from tests.workflows.live_run import request_for
from tests.workflows.world import World
from worker import build_workers


def settings_of(build: str, versioning: str = "on") -> Settings:
    """Settings of a worker of a build."""
    return Settings.model_validate(
        {"worker_versioning": versioning, "worker_build_id": build, "worker_drain_s": 0, "_env_file": None}
    )


@asynccontextmanager
async def worker_of(server: Server, settings: Settings) -> AsyncIterator[None]:
    """A worker with the production's options, polling."""
    async with AsyncExitStack() as stack:
        for worker in build_workers(server.client, settings, server.world.steps(), server.world.agent_calls()):
            await stack.enter_async_context(worker)
        yield


async def test_f32_an_open_run_goes_to_the_build_that_is_made_current_and_nobody_waits_unseen(
    plain_environment: None,
) -> None:
    async with await start_dev_environment() as environment:
        server = Server(environment, World())
        client, first, second = server.client, settings_of("first"), settings_of("second")
        async with starting(server) as start:
            async with worker_of(server, first):
                await _until_polled(server)
                assert not await has_workers(client), "it polls, but it gets no work"
                await take_up(client, first)
                assert await current_build(client) == "first", "where none is current, the first worker's build is"
                assert await has_workers(client)
                run = await start(request_for(2), [OK])
                await run.question()
            async with worker_of(server, second):
                await take_up(client, second)
                assert await current_build(client) == "first", "a new build waits until it is promoted"
                await promote(client, "second")
                await _until_it_has_workers(client)
                await run.decide(1, "accept_partial")
                assert (await run.result()).status is RunStatus.COMPLETED
            with pytest.raises(UserError, match=r"gives all work to build second.*--unversioned"):
                await check_may_work(client, settings_of("any", "off"))
            third = settings_of("third", "promote")
            async with worker_of(server, third):
                await take_up(client, third)
                assert await current_build(client) == "third", "on one machine, a worker that starts promotes its build"


async def _until_it_has_workers(client: Client) -> None:
    """A worker that has begun to poll is listed a moment later; one of another build is listed as well, so that is not waited for."""
    async with asyncio.timeout(20):
        while not await has_workers(client):  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.05)


async def _until_polled(server: Server) -> None:
    for queue, kind in QUEUES:
        request = DescribeTaskQueueRequest(
            namespace=server.client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        for _ in range(200):
            if (await server.client.workflow_service.describe_task_queue(request)).pollers:
                break
            await asyncio.sleep(0.05)


def test_a_build_is_named_after_the_code_that_decides_or_as_it_is_told(plain_environment: None) -> None:
    named = build_id(Settings(_env_file=None))
    assert named == build_id(Settings(_env_file=None)) and len(named) == 12
    assert build_id(settings_of("2026-11-23")) == "2026-11-23"
