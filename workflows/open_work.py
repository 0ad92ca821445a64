"""What a run has open: search tasks and company children, each an asyncio task that brings its outcome home to the state."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from domain.activity_io import CompanyInput, CompanyOutcome, CompanyRef, SearchTaskInput, SearchTaskRef
    from domain.company.status import CompanyStatus, Interruption, ReasonCode
    from domain.failures import Outage
    from domain.request.progress import Stage
    from workflows import activity_stubs
    from workflows.company import CompanyWorkflow
    from workflows.outages import Outages, outage_from
    from workflows.state import RunState


class OpenWork:
    """Open search tasks by ordinal and open companies by position.

    Attributes:
        interruption: why a step came back unfinished; the run has to ask before it goes on.
        outages: what is down, where that is why.
        changed: something has come home since the run last looked.
        unread: companies may have been stored that the run has not read.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._reading_lists: set[int] = set()
        self._companies: dict[int, asyncio.Task[None]] = {}
        self._in_contacts: set[int] = set()
        self._reopened: set[int] = set()
        self._stopping = False
        self.interruption: Interruption | None = None
        self.outages = Outages(state)
        self.changed = False
        self.unread = True

    @property
    def tasks(self) -> list[int]:
        """Ordinals of the open search tasks."""
        return list(self._tasks)

    @property
    def companies(self) -> list[int]:
        """Positions of the open companies."""
        return list(self._companies)

    @property
    def in_contacts(self) -> int:
        """Open companies that have reached contact discovery."""
        return len(self._in_contacts)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is open."""
        return not self._tasks and not self._companies

    def earliest_stage(self) -> Stage | None:
        """The earliest stage with open work, if any."""
        if self._tasks:
            return Stage.COMPANY_DISCOVERY
        if len(self._companies) > len(self._in_contacts):
            return Stage.COMPANY_RESEARCH
        return Stage.CONTACT_DISCOVERY if self._companies else None

    def must_wait(self, task: SearchTaskRef) -> bool:
        """Whether a search task must wait for those that are open.

        Lists are read one at a time, with no other search beside them: two lists hold mostly the same companies, and each
        search is told what was found before it, not what is being found.
        """
        return bool(self._tasks) and (bool(self._reading_lists) or task.kind == "directory_pages")

    def start_task(self, task: SearchTaskRef) -> None:
        """Open a search task."""
        if task.kind == "directory_pages":
            self._reading_lists.add(task.ordinal)
        self._tasks[task.ordinal] = asyncio.create_task(self._run_task(task))

    def start_company(self, ref: CompanyRef) -> None:
        """Open a company."""
        self._companies[ref.position] = asyncio.create_task(self._run_company(ref))

    def company_found(self, ref: CompanyRef) -> None:
        """Put a company that was read from the store in line.

        One that is still open has ended in the store and was reopened there before its outcome came home: it is judged
        anew as soon as it has.
        """
        if ref.position in self._companies:
            self._reopened.add(ref.position)
        elif ref.position not in self._state.contacts_of:
            self._state.enqueue(ref)

    def company_reached_contacts(self, position: int) -> None:
        """A company's child tells that research is done."""
        if position in self._companies:
            self._in_contacts.add(position)
            self.changed = True

    async def stop(self) -> None:
        """Cancel what is open and wait until it has stopped. What it found is stored; what it left undone is back in line.

        Called again while it is under way (the run itself is being cancelled), it waits for the same.
        """
        open_work = [*self._companies.values(), *self._tasks.values()]
        if not self._stopping:
            self._stopping = True
            for task in open_work:
                task.cancel()
        # Not by awaiting the tasks: that would hand a cancellation of the run on to a task, where it would be lost.
        await workflow.wait_condition(lambda: all(task.done() for task in open_work))
        self._stopping = False

    def _interrupt(self, interruption: Interruption, outage: Outage | None, decisions_before: int) -> None:
        """Have the run ask, unless it has asked since the work was started: then the answer holds for it as well."""
        if self._state.decisions == decisions_before:
            self.interruption = interruption
            self.outages.note(outage)

    async def _run_task(self, task: SearchTaskRef) -> None:
        try:
            await self._search(task)
        finally:
            del self._tasks[task.ordinal]
            self._reading_lists.discard(task.ordinal)
            self.unread = self.changed = True

    async def _search(self, task: SearchTaskRef) -> None:
        state = self._state
        decisions = state.decisions
        params = SearchTaskInput(request=state.request, task=task, retry_round=state.retry_round)
        try:
            outcome = await activity_stubs.discover(params)
        except ActivityError as error:
            if self._stopping and is_cancelled_exception(error):
                state.requeue_task(task)
                return
            outage = outage_from(error)
            if outage is not None:
                self._interrupt(Interruption.DEPENDENCY_DOWN, outage, decisions)
                state.requeue_task(task)
                return
            workflow.logger.error("search task failed for good", exc_info=error)
        except asyncio.CancelledError:
            state.requeue_task(task)
            raise
        else:
            if outcome.interruption is not None:
                self._interrupt(outcome.interruption, None, decisions)
                state.requeue_task(task)
            else:
                state.probing = False
                state.task_done(task, outcome)
            return
        state.tasks_done += 1
        try:
            await activity_stubs.fail_search_task(params)
        except ActivityError as error:
            # A note for people and for ``retry``: the run itself goes on without it.
            workflow.logger.error("the failed search was not noted", exc_info=error)

    async def _run_company(self, ref: CompanyRef) -> None:
        state = self._state
        decisions = state.decisions
        params = CompanyInput(request=state.request, company=ref, retry_round=state.retry_round)
        outcome: CompanyOutcome | None = None
        try:
            outcome = await self._outcome_of(params)
        except (ActivityError, ChildWorkflowError) as error:
            if not (self._stopping and is_cancelled_exception(error)):
                raise
        finally:
            del self._companies[ref.position]
            self._in_contacts.discard(ref.position)
            self.changed = True
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
            # Someone ended the child alone (cancelled or terminated it), or it failed in a way it does not handle.
            workflow.logger.error("company workflow ended without an outcome", exc_info=error)
            await activity_stubs.fail_company(params)
            return CompanyOutcome(status=CompanyStatus.FAILED, reason=ReasonCode.STEP_FAILED)
