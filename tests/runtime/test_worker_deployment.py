"""Which build of a worker gets work, and whether any worker polls."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from temporalio.common import VersioningBehavior

from runtime.process import UserError
from runtime.worker import build_workers
from runtime.worker_deployment import deployment_config, has_workers
from settings import Settings
from tests.workflows.conftest import Server, start_dev_environment
from tests.workflows.world import World

pytestmark = pytest.mark.usefixtures("plain_environment")


async def test_workers_are_seen_once_they_poll_both_queues() -> None:
    async with await start_dev_environment() as environment, AsyncExitStack() as stack:
        server = Server(environment, World())
        assert not await has_workers(server.client)
        settings = Settings(_env_file=None, worker_drain_s=0)
        for worker in build_workers(
            server.client, settings, server.world.other_activities(), server.world.agent_calls()
        ):
            await stack.enter_async_context(worker)
        async with asyncio.timeout(20):
            while not await has_workers(server.client):  # noqa: ASYNC110  # the server sends no event
                await asyncio.sleep(0.05)


def test_versioning_is_off_unless_it_is_switched_on() -> None:
    assert deployment_config(Settings(_env_file=None, worker_build_id="a1b2c3")) is None
    config = deployment_config(Settings(_env_file=None, worker_versioning="on", worker_build_id="a1b2c3"))
    assert config is not None and config.use_worker_versioning
    assert (config.version.deployment_name, config.version.build_id) == ("pm-pipeline", "a1b2c3")
    assert config.default_versioning_behavior is VersioningBehavior.AUTO_UPGRADE


def test_versioning_needs_a_build_id() -> None:
    with pytest.raises(UserError, match="WORKER_VERSIONING=on needs WORKER_BUILD_ID"):
        deployment_config(Settings(_env_file=None, worker_versioning="on"))
