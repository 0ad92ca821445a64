"""Every activity as the workflows call it: by name, typed, with its policy and the label shown in the Web UI.

Workflows do not import the activities themselves, so nothing of the model, the database or the web is loaded into them;
a test compares this list with what the worker registers.
"""

import asyncio
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType

with workflow.unsafe.imports_passed_through():
    from domain.activity_io import (
        ActivityModel,
        CompanyBatch,
        CompanyBatchInput,
        CompanyInput,
        CompanyOutcome,
        DecisionInput,
        DependencyCheckInput,
        ExportResult,
        FinishInput,
        FinishResult,
        NotifyInput,
        QuestionInput,
        RefusedAnswerInput,
        RunInput,
        RunStateInput,
        SearchTaskBatch,
        SearchTaskBatchInput,
        SearchTaskInput,
        SearchTaskOutcome,
        SuppressionCheckInput,
        SuppressionCheckResult,
    )
    from domain.failures import HOST_BUSY, RESCHEDULE, Dependency
    from domain.request.decision import DecisionRequest
    from workflows.names import AGENT_TASK_QUEUE
    from workflows.policies import (
        AGENT,
        NOTIFY,
        NOTIFY_OF_QUESTION,
        RECHECK,
        SELECT_CONTACTS,
        SITE,
        STORE,
        SUPPRESSION_CHECK,
        VERIFY,
    )

ResultT = TypeVar("ResultT")

# A step whose last attempt was lost with its worker is scheduled anew, for it is not the step that has failed. Not for
# ever: a step that itself brings down every worker has to end.
_WORKER_LOSSES_MAX = 5
# A site that many companies share may be crowded by us for an hour: its turn comes later, which says nothing about the step. Each time
# is three attempts, of up to three minutes each (SITE in ``policies.py``).
_HOST_BUSY_MAX = 10
_HOST_BUSY_PAUSE = timedelta(minutes=1)


async def plan_run_search(params: RunInput) -> int:
    """Store the search tasks that the run does not have yet."""
    return await _call("plan_run_search", params, int, STORE, "plan the search")


async def next_search_tasks(params: SearchTaskBatchInput) -> SearchTaskBatch:
    """Load the next open search tasks."""
    return await _call("next_search_tasks", params, SearchTaskBatch, STORE)


async def discover(params: SearchTaskInput) -> SearchTaskOutcome:
    """Run one search task."""
    return await _call("discover", params, SearchTaskOutcome, AGENT, params.task.label[:150])


async def fail_search_task(params: SearchTaskInput) -> None:
    """End a search task that failed for good."""
    await _call("fail_search_task", params, type(None), STORE, "search failed")


async def new_companies(params: CompanyBatchInput) -> CompanyBatch:
    """Load companies found since the last look."""
    return await _call("new_companies", params, CompanyBatch, STORE)


async def qualify_company(params: CompanyInput) -> CompanyOutcome:
    """Settle all that code can settle about a company."""
    return await _call("qualify_company", params, CompanyOutcome, SITE, "qualify")


async def research_company(params: CompanyInput) -> CompanyOutcome:
    """Research a company and judge it."""
    return await _call("research_company", params, CompanyOutcome, AGENT, "research")


async def find_contacts(params: CompanyInput) -> CompanyOutcome:
    """Find a company's decision makers."""
    return await _call(
        "find_contacts", params, CompanyOutcome, AGENT, f"find contacts, attempt {params.contacts_attempt}"
    )


async def verify_emails(params: CompanyInput) -> int:
    """Settle how well the contacts' addresses are proven."""
    return await _call("verify_emails", params, int, VERIFY, "verify e-mail addresses")


async def select_contacts(params: CompanyInput) -> CompanyOutcome:
    """Select the contacts to deliver."""
    return await _call("select_contacts", params, CompanyOutcome, SELECT_CONTACTS, "settle contacts")


async def fail_company(params: CompanyInput) -> None:
    """End a company whose step failed for good."""
    await _call("fail_company", params, type(None), STORE, "company failed")


async def record_state(params: RunStateInput) -> None:
    """Write stage and status where people query them."""
    await _call("record_state", params, type(None), STORE, f"{params.stage.value}, {params.status.value}")


async def store_question(params: QuestionInput) -> DecisionRequest:
    """Store a question and work out its options."""
    return await _call("store_question", params, DecisionRequest, STORE, f"ask: {params.reason.value}")


async def apply_decision(params: DecisionInput) -> int:
    """Store an answer and what it changes."""
    return await _call("apply_decision", params, int, STORE, f"decided: {params.decision.action.value}")


async def record_refused_decision(params: RefusedAnswerInput) -> None:
    """Keep an answer that was refused."""
    await _call("record_refused_decision", params, type(None), STORE, "answer refused")


async def check_dependencies(params: DependencyCheckInput) -> None:
    """Wait until dependencies answer again. The database is asked as often as any other step would ask it."""
    policy = STORE if params.dependencies == (Dependency.DATABASE,) else RECHECK
    await _call("check_dependencies", params, type(None), policy, f"{' and '.join(params.dependencies)} down: check")


async def recheck_suppression(params: SuppressionCheckInput) -> SuppressionCheckResult:
    """Ask the suppression gate again just before the delivery."""
    return await _call(
        "recheck_suppression", params, SuppressionCheckResult, SUPPRESSION_CHECK, "suppression, once more"
    )


async def finish_run(params: FinishInput) -> FinishResult:
    """End the run."""
    return await _call("finish_run", params, FinishResult, STORE, params.status.value)


async def export_run(params: RunInput) -> ExportResult:
    """Render and keep both files."""
    return await _call("export_run", params, ExportResult, STORE, "export")


async def notify_requester(params: NotifyInput) -> bool:
    """Tell the requester of a change of state."""
    return await _call("notify_requester", params, bool, NOTIFY, "notify")


async def notify_of_question(params: NotifyInput) -> bool:
    """Tell the requester that the run waits; tried until it is cancelled."""
    return await _call("notify_requester", params, bool, NOTIFY_OF_QUESTION, "notify")


ACTIVITIES = (
    plan_run_search,
    next_search_tasks,
    discover,
    fail_search_task,
    new_companies,
    qualify_company,
    research_company,
    find_contacts,
    verify_emails,
    select_contacts,
    fail_company,
    record_state,
    store_question,
    apply_decision,
    record_refused_decision,
    check_dependencies,
    recheck_suppression,
    finish_run,
    export_run,
    notify_requester,
)


def clear_cancellation() -> None:
    """What follows is done although the workflow was cancelled: its cancellation has been taken, and stops no step any more."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def raise_if_cancelled() -> None:
    """End here when what calls this is being cancelled.

    A step is waited for when it is cancelled; one that ends all the same, well or not, takes the cancellation with it, and
    the next step would be bought for nothing.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _is_worker_loss(error: ActivityError) -> bool:
    """Whether the last attempt of a step ended since its worker was heard of no more."""
    return isinstance(error.cause, TimeoutError) and error.cause.type is TimeoutType.HEARTBEAT


def _ended_as(error: ActivityError, failure_type: str) -> bool:
    return isinstance(error.cause, ApplicationError) and error.cause.type == failure_type


async def _call(
    name: str,
    params: ActivityModel,
    result_type: type[ResultT],
    policy: workflow.ActivityConfig,
    summary: str | None = None,
) -> ResultT:
    options: dict[str, Any] = {**policy}
    if policy is AGENT:
        options["task_queue"] = AGENT_TASK_QUEUE
    if summary is not None:
        options["summary"] = summary
    worker_losses = host_busy = 0
    while True:
        try:
            result: ResultT = await workflow.execute_activity(name, params, result_type=result_type, **options)
        except ActivityError as error:
            if _is_worker_loss(error) and worker_losses < _WORKER_LOSSES_MAX and workflow.patched("outlive_workers"):
                worker_losses += 1
            elif _ended_as(error, HOST_BUSY) and host_busy < _HOST_BUSY_MAX and workflow.patched("outlast_busy_hosts"):
                host_busy += 1
                raise_if_cancelled()
                await workflow.sleep(_HOST_BUSY_PAUSE, summary="its site is crowded by us: next try")
            elif not _ended_as(error, RESCHEDULE):
                raise
            raise_if_cancelled()
        else:
            return result
