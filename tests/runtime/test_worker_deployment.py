"""Which build of a worker gets work, and whether any worker polls."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior
from temporalio.service import RPCError, RPCStatusCode

from runtime.process import UserError
from runtime.worker import build_workers
from runtime.worker_deployment import DEPLOYMENT, _gets_work, deployment_config, has_workers
from settings import Settings
from tests.workflows.conftest import Server, start_dev_environment
from tests.workflows.world import World
from workflows.names import AGENT_TASK_QUEUE, TASK_QUEUE

pytestmark = pytest.mark.usefixtures("plain_environment")


@pytest.mark.parametrize("build", [None, "a1b2c3"], ids=["unversioned", "versioned"])
async def test_workers_are_seen_once_they_poll_and_get_work(build: str | None) -> None:
    async with await start_dev_environment() as environment, AsyncExitStack() as stack:
        server = Server(environment, World())
        assert not await has_workers(server.client)
        versioning = "off" if build is None else "on"
        settings = Settings(_env_file=None, worker_drain_s=0, worker_versioning=versioning, worker_build_id=build)
        for worker in build_workers(
            server.client, settings, server.world.other_activities(), server.world.agent_calls()
        ):
            await stack.enter_async_context(worker)
        async with asyncio.timeout(20):
            if build is not None:
                while not await polls(server.client):  # noqa: ASYNC110  # the server sends no event
                    await asyncio.sleep(0.05)
                assert not await has_workers(server.client), "the build is not the current one"
                await make_current(server.client, build)
            while not await has_workers(server.client):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def polls(client: Client) -> bool:
    """Whether any worker, of whatever build, polls both task queues."""
    answers = [
        await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind)
        )
        for name, kind in (
            (TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
            (AGENT_TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
        )
    ]
    return all(answer.pollers for answer in answers)


async def make_current(client: Client, build: str) -> None:
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=DEPLOYMENT, build_id=build
    )
    while True:
        try:
            await client.workflow_service.set_worker_deployment_current_version(request)
        except RPCError as error:  # until the server knows the pollers
            assert error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION}
            await asyncio.sleep(0.2)
        else:
            return


@pytest.mark.parametrize(
    ("build", "current", "holds"),
    [
        (None, None, True),
        (None, "a1b2c3", False),
        ("a1b2c3", None, False),
        ("a1b2c3", "a1b2c3", True),
        ("a1b2c3", "d4e5f6", False),
    ],
)
def test_only_the_current_build_gets_work(build: str | None, current: str | None, holds: bool) -> None:
    poller, queue = PollerInfo(), DescribeTaskQueueResponse()
    if build is not None:
        poller.deployment_options.deployment_name, poller.deployment_options.build_id = DEPLOYMENT, build
        poller.deployment_options.worker_versioning_mode = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    if current is not None:
        version = queue.versioning_info.current_deployment_version
        version.deployment_name, version.build_id = DEPLOYMENT, current
    assert _gets_work(poller, queue) is holds


def test_versioning_is_off_unless_it_is_switched_on() -> None:
    assert deployment_config(Settings(_env_file=None, worker_build_id="a1b2c3")) is None
    config = deployment_config(Settings(_env_file=None, worker_versioning="on", worker_build_id="a1b2c3"))
    assert config is not None and config.use_worker_versioning
    assert (config.version.deployment_name, config.version.build_id) == ("pm-pipeline", "a1b2c3")
    assert config.default_versioning_behavior is VersioningBehavior.AUTO_UPGRADE


def test_versioning_needs_a_build_id() -> None:
    with pytest.raises(UserError, match="WORKER_VERSIONING=on needs WORKER_BUILD_ID"):
        deployment_config(Settings(_env_file=None, worker_versioning="on"))
