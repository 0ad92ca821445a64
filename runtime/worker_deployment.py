"""Running workers and Worker Versioning, as the Temporal server sees them."""

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
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
    """Whether workers polled both task queues in the last few minutes."""
    for queue, kind in _QUEUES:
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind)
        )
        if not answer.pollers:
            return False
    return True


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
