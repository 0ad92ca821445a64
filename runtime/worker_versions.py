"""Worker deployment versioning: which build of the code Temporal gives the work to. Off unless ``WORKER_VERSIONING`` says so.

Runs upgrade by themselves (``AUTO_UPGRADE``): a run waits for a person up to a week, so the build that started it would have to be kept
as long. That a later build decides as the earlier one did is what ``workflow.patched`` and the replay gate are for
(docs/upgrades.md).
"""

import asyncio
import hashlib
from pathlib import Path

import structlog
from temporalio.api.deployment.v1 import WorkerDeploymentVersion as DeployedVersion
from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from runtime.process import UserError
from settings import Settings
from workflows.names import AGENT_TASK_QUEUE, TASK_QUEUE

log = structlog.get_logger()

DEPLOYMENT = "pm-pipeline"
QUEUES = (
    (TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
    (AGENT_TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
)
_DECIDES = ("workflows", "domain")  # the code that a replay runs
_PROMOTE_TIMEOUT_S = 30.0
_NOT_YET = (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION)  # until the pollers are known to the server
# No such deployment; a server that has none, or none in this namespace.
_UNKNOWN_TO_SERVER = (RPCStatusCode.NOT_FOUND, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED)


def build_id(settings: Settings) -> str:
    """Which build this is: ``WORKER_BUILD_ID``, or a hash of the code that decides what a run does."""
    if settings.worker_build_id is not None:
        return settings.worker_build_id
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted(path for package in _DECIDES for path in (root / package).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def deployment_config(settings: Settings) -> WorkerDeploymentConfig | None:
    """How a worker takes part in versioning; None where it does not."""
    if settings.worker_versioning == "off":
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=build_id(settings)),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


async def current_build(client: Client) -> str | None:
    """The build that gets the work; None where all unversioned workers get it."""
    try:
        answer = await client.workflow_service.describe_worker_deployment(
            DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=DEPLOYMENT)
        )
    except RPCError as error:
        if error.status in _UNKNOWN_TO_SERVER:
            return None
        raise
    return answer.worker_deployment_info.routing_config.current_deployment_version.build_id or None


async def check_may_work(client: Client, settings: Settings) -> None:
    """See that a worker with these settings would get work.

    Raises:
        UserError: it is not versioned, and Temporal gives the work to a build.
    """
    build = await current_build(client)
    if settings.worker_versioning == "off" and build is not None:
        raise UserError(
            f"Temporal gives all work to build {build}, so this worker would get none: set WORKER_VERSIONING=on (or promote), or "
            f"end versioning with `temporal worker deployment set-current-version --deployment-name {DEPLOYMENT} --unversioned` "
            "(docs/upgrades.md)"
        )


async def take_up(client: Client, settings: Settings) -> None:
    """Called by a worker that polls: make its build the current one if it is to, or say that it waits for that.

    Raises:
        UserError: the server does not take the build as current.
    """
    if settings.worker_versioning == "off":
        return
    build, current = build_id(settings), await current_build(client)
    if current == build:
        return
    if settings.worker_versioning == "promote" or current is None:
        await promote(client, build)
        log.info("build_promoted", build=build, before=current)
    else:
        log.warning("build_waits_for_promotion", build=build, current=current)


async def promote(client: Client, build: str) -> None:
    """Make a build the current one: it gets new runs, and open ones at their next step.

    Raises:
        UserError: no worker of it polls both task queues.
    """
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=DEPLOYMENT, build_id=build, identity=client.identity
    )
    try:
        async with asyncio.timeout(_PROMOTE_TIMEOUT_S):
            while True:
                try:
                    await client.workflow_service.set_worker_deployment_current_version(request)
                except RPCError as error:
                    if error.status not in _NOT_YET:
                        raise
                    await asyncio.sleep(0.2)
                else:
                    return
    except (TimeoutError, RPCError) as error:
        raise UserError(
            f"build {build} cannot be made the current one: no worker of it polls both task queues, or the server does not "
            "know worker deployments (Temporal 1.29 or newer is needed; WORKER_VERSIONING=off does without)"
        ) from error


async def has_workers(client: Client) -> bool:
    """Whether workers that get the work have polled both queues within the last minutes."""
    for queue, kind in QUEUES:
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind)
        )
        if not any(_gets_work(poller, answer) for poller in answer.pollers):
            return False
    return True


def _gets_work(poller: PollerInfo, queue: DescribeTaskQueueResponse) -> bool:
    current: DeployedVersion = queue.versioning_info.current_deployment_version
    options = poller.deployment_options
    is_versioned = options.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    if not current.build_id:
        return not is_versioned
    return is_versioned and (options.deployment_name, options.build_id) == (current.deployment_name, current.build_id)
