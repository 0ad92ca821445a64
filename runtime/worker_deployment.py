"""Running workers and Worker Versioning, as the Temporal server sees them."""

from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

from runtime.process import UserError
from settings import Settings
from workflows.names import AGENT_TASK_QUEUE, TASK_QUEUE

DEPLOYMENT = "pm-pipeline"

_QUEUES = (
    (TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
    (AGENT_TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
)


async def has_workers(client: Client) -> bool:
    """Whether workers that get work polled both task queues in the last few minutes."""
    for queue, kind in _QUEUES:
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind)
        )
        if not any(_gets_work(poller, answer) for poller in answer.pollers):
            return False
    return True


def _gets_work(poller: PollerInfo, queue: DescribeTaskQueueResponse) -> bool:
    """Whether the poller runs the current build, or is unversioned if there is none."""
    current, options = queue.versioning_info.current_deployment_version, poller.deployment_options
    is_versioned = options.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    if not current.build_id:
        return not is_versioned
    return is_versioned and (options.deployment_name, options.build_id) == (current.deployment_name, current.build_id)


def deployment_config(settings: Settings) -> WorkerDeploymentConfig | None:
    """Return the Worker Versioning configuration, or None if it is off (docs/upgrades.md).

    Runs move to the current build (``AUTO_UPGRADE``). A pinned run would need its old build for as long as it waits for a
    person, which can be a week.

    Raises:
        UserError: versioning is on and the build has no id.
    """
    if settings.worker_versioning == "off":
        return None
    if settings.worker_build_id is None:
        raise UserError("WORKER_VERSIONING=on needs WORKER_BUILD_ID, such as the commit that this worker runs")
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=settings.worker_build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )
