"""What a run has open: search tasks and company children, each an asyncio task that brings its outcome home to the state."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.company import CompanyStatus, Interruption, ReasonCode
    from domain.failures import DEPENDENCY_FAILURES
    from domain.progress import Stage
    from domain.steps import CompanyOutcome, CompanyRef, CompanyStep, TaskRef, TaskStep
    from workflows import calls
    from workflows.company import CompanyWorkflow
    from workflows.run_state import RunState


class OpenWork:
    """Open search tasks by ordinal and open companies by position.

    Attributes:
        interruption: why a step came back unfinished; the run has to ask before it goes on.
        changed: something has come home since the run last looked.
        unread: companies may have been stored that the run has not read.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._companies: dict[int, asyncio.Task[None]] = {}
        self._in_contacts: set[int] = set()
        self._stopping = False
        self.interruption: Interruption | None = None
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

    def start_task(self, task: TaskRef) -> None:
        """Open a search task."""
        self._tasks[task.ordinal] = asyncio.create_task(self._run_task(task))

    def start_company(self, ref: CompanyRef) -> None:
        """Open a company."""
        self._companies[ref.position] = asyncio.create_task(self._run_company(ref))

    def company_reached_contacts(self, position: int) -> None:
        """A company's child tells that research is done."""
        if position in self._companies:
            self._in_contacts.add(position)
            self.changed = True

    async def stop(self) -> None:
        """Cancel what is open and wait until it has stopped. What it found is stored."""
        self._stopping = True
        open_work = [*self._companies.values(), *self._tasks.values()]
        for task in open_work:
            task.cancel()
        for task in open_work:
            await _stopped(task)
        self._stopping = False

    async def _run_task(self, task: TaskRef) -> None:
        state = self._state
        try:
            outcome = await calls.discover(TaskStep(request=state.request, task=task, retry_round=state.retry_round))
        except ActivityError as error:
            if self._stopping and is_cancelled_exception(error):
                return
            if isinstance(error.cause, ApplicationError) and error.cause.type in DEPENDENCY_FAILURES:
                self.interruption = Interruption.DEPENDENCY_DOWN
                state.tasks.insert(0, task)
            else:
                workflow.logger.error("search task failed for good", exc_info=error)
                state.tasks_done += 1
        else:
            if outcome.interruption is not None:
                self.interruption = outcome.interruption
                state.tasks.insert(0, task)
            else:
                state.tasks_done += 1
                state.dry_tasks = 0 if outcome.new else state.dry_tasks + 1
                state.spend = state.spend.plus(outcome.spend)
        finally:
            del self._tasks[task.ordinal]
            self.unread = self.changed = True

    async def _run_company(self, ref: CompanyRef) -> None:
        state = self._state
        step = CompanyStep(request=state.request, company=ref, retry_round=state.retry_round)
        try:
            outcome = await workflow.execute_child_workflow(
                CompanyWorkflow.run,
                step,
                id=f"{workflow.info().workflow_id}/company/{ref.company_id}",
                parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            )
        except ChildWorkflowError as error:
            if self._stopping and is_cancelled_exception(error):
                return
            # Someone ended the child alone (cancelled or terminated it), or it failed in a way it does not handle.
            workflow.logger.error("company workflow ended without an outcome", exc_info=error)
            await calls.end_failed_company(step)
            outcome = CompanyOutcome(status=CompanyStatus.FAILED, reason=ReasonCode.STEP_FAILED)
        finally:
            del self._companies[ref.position]
            self._in_contacts.discard(ref.position)
            self.changed = True
        if outcome.interruption is not None:
            self.interruption = outcome.interruption
            state.add_waiting(ref)
        else:
            state.settle(ref, outcome)


async def _stopped(task: asyncio.Task[None]) -> None:
    """Wait for a task that was cancelled; that it ends as cancelled is what was asked."""
    try:
        await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise  # the run itself is being cancelled, not the task
