"""The workflow of a run: find companies, research them, ask a person if the target can't be met, deliver.

1. The run plans its search.
2. It searches the cheapest sources first and starts a child workflow for each company. It starts no more work once the
   complete companies and the expected survivors reach the target.
3. If it can't reach the target (no candidates, budget, stage time-out, dependency down), it asks a person and follows
   the answer.
4. When the target is filled, or a person accepts less, it checks suppression again, stores the end and exports the files.
"""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

from domain.activity_io import DecisionInput, QuestionInput, RunInput, RunStateInput
from domain.company.status import Interruption
from domain.request.decision import (
    ENDING,
    Decision,
    DecisionAction,
    DecisionError,
    DecisionReason,
    DecisionRequest,
    amend,
)
from domain.request.progress import RunProgress, RunStatus
from domain.request.reopening import reopened_reasons
from workflows import activity_stubs
from workflows.company import REACHED_CONTACTS
from workflows.finish import RunFinisher
from workflows.messages import DecisionReceipt, LeadListInput, LeadListResult
from workflows.names import QUERY_PROGRESS, SIGNAL_DECISION, STAGE, STATUS, UPDATE_DECISION
from workflows.notifications import notify
from workflows.open_work import OpenWork
from workflows.outages import Outages, has_recovered, outage_from
from workflows.pause_reasons import PauseReason, exhausted, interrupted, stage_timed_out
from workflows.pending_decision import PendingDecision, preset_answer
from workflows.start_work import load_companies, reload_tasks, start_work
from workflows.state import RunState
from workflows.ui import render_details

# "retry" after these questions restarts the agents. After other questions they continue from their stored turns.
_NEW_ROUND = frozenset(
    {DecisionReason.CANDIDATES_EXHAUSTED, DecisionReason.LOW_MATCH_RATE, DecisionReason.CONTACTS_SHORT}
)


@workflow.defn
class LeadListWorkflow:
    """Runs one lead list. The workflow id is ``lead-list-<run id>``."""

    @workflow.init
    def __init__(self, start: LeadListInput) -> None:
        self._state = start.state or RunState(request=start.request)
        self._outages = Outages(self._state)
        self._open = OpenWork(self._state, self._outages)
        self._pending = PendingDecision(self._state, self._show)
        self._finisher = RunFinisher(self._state, self._pending, self._show)
        self._ending: Decision | None = None  # accept_partial or cancel

    @workflow.run
    async def run(self, start: LeadListInput) -> LeadListResult:
        try:
            if start.state is None:
                await self._plan()
            self._show()
            while True:
                pause = await self._fill_target()
                if pause is not None:
                    await self._ask(pause)
                    continue
                result = await self._deliver()
                if result is not None:
                    return result
        except (asyncio.CancelledError, FailureError) as error:
            await self._end_early(is_cancelled=is_cancelled_exception(error))
            raise

    @workflow.query(name=QUERY_PROGRESS, description="Counts, funnel and the open question")
    def progress(self) -> RunProgress:
        state = self._state
        return RunProgress(
            run_id=state.request.run_id,
            stage=state.stage,
            status=state.status,
            target_quantity=state.target,
            companies_ready=state.ready,
            contacts_ready=state.contacts_ready,
            funnel=state.funnel,
            named=state.named,
            exhausted_kinds=state.exhausted_kinds + state.skipped_before,
            open_discovery=len(self._open.tasks),
            open_research=len(self._open.companies) - len(self._open.in_contacts),
            open_contacts=len(self._open.in_contacts),
            queued=len(state.queue),
            search_tasks_done=state.tasks_done,
            cost_usd=state.spend.cost_usd,
            model_calls=state.spend.model_calls,
            decision=self._pending.question,
            problem=self._pending.problem,
            note=state.note,
            stage_entered_at=state.stage_entered_at,
        )

    @workflow.signal(name=SIGNAL_DECISION, description='Decide. JSON: {"decision_id": "decision-1", "action": "…"}')
    def resolve_decision(self, raw: Any = None) -> None:
        """Accept an answer, or record and show why it was refused."""
        self._pending.accept_or_refuse(raw)

    @workflow.update(name=UPDATE_DECISION, description="Decide, and get the receipt or why the answer was refused")
    def submit_decision(self, raw: Any = None) -> DecisionReceipt:
        """Accept an answer that passed the validator."""
        decision = self._pending.parse(raw)
        self._pending.accept(decision)
        return DecisionReceipt(decision_id=decision.decision_id, action=decision.action)

    @submit_decision.validator
    def _validate_decision(self, raw: Any = None) -> None:
        try:
            self._pending.parse(raw)
        except DecisionError as error:
            raise ApplicationError(str(error), type="InvalidDecision", non_retryable=True) from error

    @workflow.signal(name=REACHED_CONTACTS, description="From a company's workflow: research is done")
    def company_reached_contacts(self, position: int) -> None:
        self._open.company_reached_contacts(position)

    async def _plan(self) -> None:
        self._state.stage_entered_at = workflow.now()
        await activity_stubs.plan_run_search(RunInput(request=self._state.request))

    async def _fill_target(self) -> PauseReason | None:
        """Work until the target is filled or a person ends the search. Return why a person must decide, or None."""
        state = self._state
        while self._ending is None:
            await self._pending.record_refused()
            await load_companies(state, self._open)
            if state.tasks_requeued and not self._open.tasks:
                await reload_tasks(state)
            if self._is_filled():
                return None
            if self._open.interruption is not None:
                if not self._finishes_open_work(self._open.interruption):
                    return interrupted(self._open.interruption, state, self._outages.down)
            elif self._history_is_long():
                await self._continue_as_new_when_empty()
            else:
                await start_work(state, self._open)
                if self._open.is_empty:
                    # A person may have put companies back in the store by accepting them.
                    self._open.may_have_stored = True
                    await load_companies(state, self._open)
                    if not state.queue:
                        return exhausted(state)
                    continue
            await self._enter_stage()
            if not await self._wait_for_change():
                return stage_timed_out(state)
        return None

    async def _deliver(self) -> LeadListResult | None:
        """End the run and return its result, or None if the run must continue."""
        await self._open.stop()
        if self._ending is not None and self._ending.action is DecisionAction.CANCEL:
            return await self._finisher.cancel(self._ending)
        try:
            return await self._finisher.deliver(accepted=self._ending)
        except ActivityError as error:
            outage = outage_from(error)
            if is_cancelled_exception(error) or outage is None:
                raise
            self._outages.add(outage)
            await self._ask(interrupted(Interruption.DEPENDENCY_DOWN, self._state, (outage,)), at_delivery=True)
            return None

    async def _end_early(self, *, is_cancelled: bool) -> None:
        """Store the end of a cancelled or failed run."""
        activity_stubs.clear_cancellation()
        await self._open.stop()
        if is_cancelled and self._state.status is RunStatus.COMPLETED:
            await activity_stubs.export_run(RunInput(request=self._state.request))  # only the export was missing
        elif is_cancelled:
            await self._finisher.finish(RunStatus.CANCELLED, "cancelled; what was found is kept")
        else:
            await self._finisher.finish(RunStatus.ERROR, "failed; the workflow's failure says why")
        await notify(self._state.request.run_id, self._state.status.value)

    # Filling the target

    def _is_filled(self) -> bool:
        return self._state.is_filled(self._open.companies, self._open.tasks)

    def _finishes_open_work(self, interruption: Interruption) -> bool:
        """Whether the run finishes open work before it asks. At the budget it does: that work is paid for and may fill
        the target.
        """
        return interruption is Interruption.BUDGET_REACHED and not self._open.is_empty

    def _history_is_long(self) -> bool:
        info, events_max = workflow.info(), self._state.request.windows.history_events_max
        is_long = events_max is not None and info.get_current_history_length() >= events_max
        return is_long or info.is_continue_as_new_suggested()

    async def _continue_as_new_when_empty(self) -> None:
        # Refused answers are not carried over, so they are recorded first.
        if self._open.is_empty and not self._pending.has_refused:
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(LeadListInput(request=self._state.request, state=self._state))

    async def _enter_stage(self) -> None:
        stage = self._open.earliest_stage()
        if stage is not None and stage is not self._state.stage:
            self._state.enter_stage(stage, workflow.now())
            await self._record_state()
        self._show()

    async def _wait_for_change(self) -> bool:
        """Wait for a change. Return False if the stage runs out of time."""
        timeout = timedelta(seconds=self._state.request.limits.stage_timeout_s)
        left = timeout - self._state.stage_time(workflow.now())
        if left <= timedelta(0):
            return False
        try:
            await workflow.wait_condition(
                lambda: self._open.has_changed or self._pending.has_refused,
                timeout=left,
                timeout_summary=f"time-out of {self._state.stage.value}",
            )
        except TimeoutError:
            return False
        self._open.has_changed = False
        return True

    # Asking a person

    async def _ask(self, pause: PauseReason, *, at_delivery: bool = False) -> None:
        """Ask a person, wait for the answer and apply it.

        The question closes without an answer if the dependency recovers. Except at delivery, it also closes if the target is
        filled.
        """
        state, is_outage = self._state, pause.reason is DecisionReason.DEPENDENCY_DOWN
        if is_outage and await self._outages.wait_for_database(self._show):
            self._open.interruption = None
            state.restart_stage(workflow.now())
            return
        question = await self._store_question(pause)
        self._pending.open(question)
        state.status = RunStatus.NEEDS_USER_DECISION
        self._show()
        decision = preset_answer(question, state.request)
        if decision is None:
            watch = self._outages.watch() if is_outage else None
            decision = await self._pending.wait(question, watch, lambda: not at_delivery and self._is_filled())
            if decision is None and has_recovered(watch):
                self._outages.resume()
        self._pending.close()
        self._open.interruption = None
        self._outages.clear()
        state.status = RunStatus.ACTIVE
        state.restart_stage(workflow.now())
        if decision is None:
            await self._record_state()
        else:
            await self._apply(decision, question)
        self._show()

    async def _store_question(self, pause: PauseReason) -> DecisionRequest:
        state = self._state
        state.decisions += 1
        deadline = workflow.now() + timedelta(seconds=state.request.windows.decision_deadline_s)
        return await activity_stubs.store_question(
            QuestionInput(
                request=state.request,
                stage=state.stage,
                reason=pause.reason,
                decision_id=f"decision-{state.decisions}",
                message=pause.message,
                complete=state.ready,
                deadline_at=deadline.isoformat(),
            )
        )

    async def _apply(self, decision: Decision, question: DecisionRequest) -> None:
        """Amend the request as decided, and requeue work that the new request may allow."""
        state, ends = self._state, decision.action in ENDING
        amended = amend(state.request, decision)
        if amended.criteria != state.request.criteria:
            # Open work uses the old criteria, so it stops and starts again.
            await self._open.stop()
        state.request = amended
        state.note = f"{decision.decision_id}: {decision.action.value} by {decision.decided_by}"
        if decision.action is DecisionAction.RETRY and question.reason in _NEW_ROUND:
            state.retry_round += 1
        if not ends:
            state.new_by_kind, state.skipped, state.has_more_tasks = {}, (), True
            state.reopen([reason.value for reason in reopened_reasons(decision)])
        await activity_stubs.apply_decision(DecisionInput(request=state.request, decision=decision, question=question))
        self._open.may_have_stored = True
        # Requeued tasks load once no search is open. Otherwise an open search would load twice.
        state.tasks_requeued = not ends
        if decision.action is not DecisionAction.RETRY:
            self._ending = decision if ends else None

    # What others see

    async def _record_state(self) -> None:
        state = self._state
        params = RunStateInput(run_id=state.request.run_id, stage=state.stage, status=state.status, note=state.note)
        await activity_stubs.record_state(params)

    def _show(self) -> None:
        state, shown = self._state, workflow.info().typed_search_attributes
        if shown.get(STATUS) != state.status.value or shown.get(STAGE) != state.stage.value:
            workflow.upsert_search_attributes(
                [STATUS.value_set(state.status.value), STAGE.value_set(state.stage.value)]
            )
        workflow.set_current_details(render_details(self.progress(), workflow.info().workflow_id))
