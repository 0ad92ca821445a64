"""Typed stubs through which workflows call activities: name, policy and Web UI label.

Workflows do not import activity code, so they load no model, database or web code.
A test checks that the worker registers every stub.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType

from domain import activity_io as io
from domain.failures import HOST_BUSY, RESCHEDULE
from domain.frozen_model import FrozenModel
from domain.request.decision import DecisionRequest
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

ParamsT = TypeVar("ParamsT", bound=FrozenModel)
ResultT = TypeVar("ResultT")

# An activity that lost its worker is scheduled again. The limit stops an activity that crashes every worker.
_WORKER_LOSSES_MAX = 5
# Many companies may share one host, which limits our requests. Each of these tries has three attempts.
_HOST_BUSY_MAX = 10
_HOST_BUSY_PAUSE = timedelta(minutes=1)


@dataclass(frozen=True)
class Stub(Generic[ParamsT, ResultT]):
    name: str
    params_type: type[ParamsT]
    result_type: type[ResultT]
    policy: workflow.ActivityConfig
    summary: str | Callable[[ParamsT], str] | None = None

    async def __call__(self, params: ParamsT) -> ResultT:
        """Run the activity, and schedule it again after a worker shutdown, a lost worker or a busy host.

        Raises:
            ActivityError: the activity failed or was cancelled.
            CancelledError: the caller was already cancelled, so nothing started.
        """
        summary = self.summary(params) if callable(self.summary) else self.summary
        options: dict[str, Any] = {**self.policy, "summary": summary}
        worker_losses = host_busy = 0
        while True:
            raise_if_cancelled()
            try:
                result: ResultT = await workflow.execute_activity(
                    self.name, params, result_type=self.result_type, **options
                )
            except ActivityError as error:
                if _is_worker_loss(error) and worker_losses < _WORKER_LOSSES_MAX:
                    worker_losses += 1
                elif _failed_as(error, HOST_BUSY) and host_busy < _HOST_BUSY_MAX:
                    host_busy += 1
                    raise_if_cancelled()
                    await workflow.sleep(_HOST_BUSY_PAUSE, summary="the site is busy with our requests: next try")
                elif not _failed_as(error, RESCHEDULE):
                    raise
            else:
                return result


def raise_if_cancelled() -> None:
    """Raise ``CancelledError`` if the caller was cancelled.

    Temporal waits for a cancelled activity. If the activity still completes or fails, the caller does not see its own
    cancellation without this check.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def clear_cancellation() -> None:
    """Clear the cancellation, so that the workflow can still run its final activities."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def _down(params: io.DependencyCheckInput) -> str:
    return f"{' and '.join(params.dependencies)} down: check"


def _is_worker_loss(error: ActivityError) -> bool:
    return isinstance(error.cause, TimeoutError) and error.cause.type is TimeoutType.HEARTBEAT


def _failed_as(error: ActivityError, failure_type: str) -> bool:
    return isinstance(error.cause, ApplicationError) and error.cause.type == failure_type


NONE = type(None)

# The run
plan_run_search = Stub("plan_run_search", io.RunInput, int, STORE, "plan the search")
record_state = Stub("record_state", io.RunStateInput, NONE, STORE, lambda p: f"{p.stage.value}, {p.status.value}")
recheck_suppression = Stub(
    "recheck_suppression", io.SuppressionCheckInput, io.SuppressionCheckResult, SUPPRESSION_CHECK, "check suppression"
)
finish_run = Stub("finish_run", io.FinishInput, io.FinishResult, STORE, lambda p: p.status.value)
export_run = Stub("export_run", io.RunInput, io.ExportResult, STORE, "export")
notify_requester = Stub("notify_requester", io.NotifyInput, bool, NOTIFY, "notify")
notify_of_question = Stub("notify_requester", io.NotifyInput, bool, NOTIFY_OF_QUESTION, "notify")
check_dependencies = Stub("check_dependencies", io.DependencyCheckInput, NONE, RECHECK, lambda p: _down(p))
check_database = Stub("check_dependencies", io.DependencyCheckInput, NONE, STORE, lambda p: _down(p))

# Search tasks
next_search_tasks = Stub("next_search_tasks", io.SearchTaskBatchInput, io.SearchTaskBatch, STORE)
discover = Stub("discover", io.SearchTaskInput, io.SearchTaskOutcome, AGENT, lambda p: p.task.label[:150])
fail_search_task = Stub("fail_search_task", io.SearchTaskInput, NONE, STORE, "search failed")

# Companies
new_companies = Stub("new_companies", io.CompanyBatchInput, io.CompanyBatch, STORE)
qualify_company = Stub("qualify_company", io.CompanyInput, io.CompanyOutcome, SITE, "qualify")
research_company = Stub("research_company", io.CompanyInput, io.CompanyOutcome, AGENT, "research")
find_contacts = Stub(
    "find_contacts", io.CompanyInput, io.CompanyOutcome, AGENT, lambda p: f"find contacts, attempt {p.contacts_attempt}"
)
verify_emails = Stub("verify_emails", io.CompanyInput, int, VERIFY, "verify email addresses")
select_contacts = Stub("select_contacts", io.CompanyInput, io.CompanyOutcome, SELECT_CONTACTS, "select contacts")
fail_company = Stub("fail_company", io.CompanyInput, NONE, STORE, "company failed")

# Decisions
store_question = Stub("store_question", io.QuestionInput, DecisionRequest, STORE, lambda p: f"ask: {p.reason.value}")
apply_decision = Stub("apply_decision", io.DecisionInput, int, STORE, lambda p: f"decided: {p.decision.action.value}")
record_refused_decision = Stub("record_refused_decision", io.RefusedAnswerInput, NONE, STORE, "answer refused")
