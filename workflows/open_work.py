"""The open search tasks and companies of a run. Each is an asyncio task that records its outcome in the run's state."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from domain.activity_io import CompanyInput, CompanyOutcome, CompanyRef, SearchTaskInput, SearchTaskRef
from domain.company.status import CompanyStatus, Interruption, ReasonCode
from domain.failures import Outage
from domain.request.progress import Stage
from workflows import activity_stubs
from workflows.company import CompanyWorkflow
from workflows.outages import Outages, outage_from
from workflows.state import RunState


class OpenWork:
    """Starts, tracks and stops open work.

    Attributes:
        tasks: open search tasks by ordinal.
        companies: open companies by position.
        in_contacts: positions of open companies that reached contact discovery.
        interruption: why work was interrupted. The run asks a person before it continues.
        has_changed: whether something finished since the run last checked.
        may_have_stored: whether the store may have companies that the run has not loaded.
    """

    def __init__(self, state: RunState, outages: Outages) -> None:
        self._state = state
        self._outages = outages
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self._directory_tasks: set[int] = set()
        self.companies: dict[int, asyncio.Task[None]] = {}
        self.in_contacts: set[int] = set()
        self._reopened: set[int] = set()
        self._stopping = False
        self.interruption: Interruption | None = None
        self.has_changed = False
        self.may_have_stored = True

    @property
    def is_empty(self) -> bool:
        return not self.tasks and not self.companies

    def earliest_stage(self) -> Stage | None:
        if self.tasks:
            return Stage.COMPANY_DISCOVERY
        if len(self.companies) > len(self.in_contacts):
            return Stage.COMPANY_RESEARCH
        return Stage.CONTACT_DISCOVERY if self.companies else None

    def must_wait(self, task: SearchTaskRef) -> bool:
        """Whether a search task must wait until the open ones finish.

        A directory page never runs in parallel with another search. Directories mostly list the same companies, and a search
        only skips companies found before it started.
        """
        return bool(self.tasks) and (bool(self._directory_tasks) or task.kind == "directory_pages")

    def start_task(self, task: SearchTaskRef) -> None:
        if task.kind == "directory_pages":
            self._directory_tasks.add(task.ordinal)
        self.tasks[task.ordinal] = asyncio.create_task(self._run_task(task))

    def start_company(self, ref: CompanyRef) -> None:
        self.companies[ref.position] = asyncio.create_task(self._run_company(ref))

    def company_loaded(self, ref: CompanyRef) -> None:
        """Queue a company loaded from the store.

        If the company is still open here, a decision reopened it before its outcome arrived. It is queued when the outcome
        arrives.
        """
        if ref.position in self.companies:
            self._reopened.add(ref.position)
        elif ref.position not in self._state.contacts_of:
            self._state.enqueue(ref)

    def company_reached_contacts(self, position: int) -> None:
        if position in self.companies:
            self.in_contacts.add(position)
            self.has_changed = True

    async def stop(self) -> None:
        """Cancel all open work, wait until it stops, and queue unfinished work again.

        If the run is cancelled meanwhile, a second call waits for the same work.
        """
        open_work = [*self.companies.values(), *self.tasks.values()]
        if not self._stopping:
            self._stopping = True
            for task in open_work:
                task.cancel()
        # If the run is cancelled while it awaits a task, that task takes the cancellation. A condition avoids this.
        await workflow.wait_condition(lambda: all(task.done() for task in open_work))
        self._stopping = False

    def _interrupt(self, interruption: Interruption, outage: Outage | None, decisions_before: int) -> None:
        """Record an interruption. Ignore it if the run asked a question after this work started: that answer applies here too."""
        if self._state.decisions == decisions_before:
            self.interruption = interruption
            self._outages.add(outage)

    async def _run_task(self, task: SearchTaskRef) -> None:
        try:
            await self._search(task)
        except asyncio.CancelledError:
            self._state.requeue_task(task)
            raise
        finally:
            del self.tasks[task.ordinal]
            self._directory_tasks.discard(task.ordinal)
            self.may_have_stored = self.has_changed = True

    async def _search(self, task: SearchTaskRef) -> None:
        state, decisions = self._state, self._state.decisions
        params = SearchTaskInput(request=state.request, task=task, retry_round=state.retry_round)
        try:
            outcome = await activity_stubs.discover(params)
        except ActivityError as error:
            outage = outage_from(error)
            if self._stopping and is_cancelled_exception(error):
                state.requeue_task(task)
            elif outage is not None:
                self._interrupt(Interruption.DEPENDENCY_DOWN, outage, decisions)
                state.requeue_task(task)
            else:
                workflow.logger.error("search task failed", exc_info=error)
                await self._fail_task(params)
            return
        if outcome.interruption is not None:
            self._interrupt(outcome.interruption, None, decisions)
            state.requeue_task(task)
        else:
            state.probing = False
            state.task_done(task, outcome)

    async def _fail_task(self, params: SearchTaskInput) -> None:
        try:
            await activity_stubs.fail_search_task(params)
        except ActivityError as error:
            # Only people and retry use this record, so the run continues without it.
            workflow.logger.error("the failed search was not recorded", exc_info=error)
        self._state.tasks_done += 1

    async def _run_company(self, ref: CompanyRef) -> None:
        state, decisions = self._state, self._state.decisions
        params = CompanyInput(request=state.request, company=ref, retry_round=state.retry_round)
        outcome: CompanyOutcome | None = None
        try:
            outcome = await self._outcome_of(params)
        except (ActivityError, ChildWorkflowError) as error:
            if not (self._stopping and is_cancelled_exception(error)):
                raise
        finally:
            del self.companies[ref.position]
            self.in_contacts.discard(ref.position)
            self.has_changed = True
            was_reopened = ref.position in self._reopened
            self._reopened.discard(ref.position)
            if outcome is None:
                state.enqueue(ref)
        if outcome is None:
            return
        if outcome.interruption is not None:
            self._interrupt(outcome.interruption, outcome.outage, decisions)
            state.enqueue(ref)
            return
        state.probing = False
        if was_reopened and outcome.status is not CompanyStatus.COMPLETE:
            state.enqueue(ref)
        else:
            state.company_ended(ref, outcome)

    async def _outcome_of(self, params: CompanyInput) -> CompanyOutcome:
        try:
            return await workflow.execute_child_workflow(
                CompanyWorkflow.run,
                params,
                id=f"{workflow.info().workflow_id}/company/{params.company.company_id}",
                parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            )
        except (ChildWorkflowError, WorkflowAlreadyStartedError) as error:
            if self._stopping and is_cancelled_exception(error):
                raise
            # Someone cancelled or terminated only the child, or it failed unexpectedly.
            workflow.logger.error("company workflow ended without an outcome", exc_info=error)
            await activity_stubs.fail_company(params)
            return CompanyOutcome(status=CompanyStatus.FAILED, reason=ReasonCode.STEP_FAILED)
