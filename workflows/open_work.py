"""The open work of a run: search tasks and company children, each an asyncio task that puts its outcome into the state."""

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
    """What is open now.

    Attributes:
        tasks: search tasks by ordinal.
        companies: companies by position; those that reached contact discovery are ``in_contacts``.
        interruption: why work was interrupted; the run asks before it goes on.
        has_changed: something finished since the run last looked.
        may_have_stored: companies may have been stored that the run has not loaded.
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
        """The earliest stage with open work."""
        if self.tasks:
            return Stage.COMPANY_DISCOVERY
        if len(self.companies) > len(self.in_contacts):
            return Stage.COMPANY_RESEARCH
        return Stage.CONTACT_DISCOVERY if self.companies else None

    def must_wait(self, task: SearchTaskRef) -> bool:
        """Whether a search task must wait for the open ones.

        Directory pages are read alone: two directories hold mostly the same companies, and each search is told what
        was found before it, not what is being found.
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

        An open one has ended in the store and was reopened before its outcome arrived. It is queued when it does.
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
        """Cancel all open work and wait until it has stopped. What it found is stored; unfinished work is queued again.

        A second call (the run itself is being cancelled) waits for the same.
        """
        open_work = [*self.companies.values(), *self.tasks.values()]
        if not self._stopping:
            self._stopping = True
            for task in open_work:
                task.cancel()
        # Awaiting the tasks instead would pass a cancellation of the run on to one of them, where it would be lost.
        await workflow.wait_condition(lambda: all(task.done() for task in open_work))
        self._stopping = False

    def _interrupt(self, interruption: Interruption, outage: Outage | None, decisions_before: int) -> None:
        """Make the run ask. If it asked since the work started, that answer holds for this work too."""
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
            # The record only serves people and retry, so the run goes on without it.
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
            # Somebody cancelled or terminated the child alone, or it failed in a way it does not handle.
            workflow.logger.error("company workflow ended without an outcome", exc_info=error)
            await activity_stubs.fail_company(params)
            return CompanyOutcome(status=CompanyStatus.FAILED, reason=ReasonCode.STEP_FAILED)
