"""A run: find companies, take each through its steps, ask a person when the target cannot be met, export.

The process in a paragraph: the plan's search tasks run in a window, cheapest first; every company they find is started as
a child as long as those complete and the survivors expected do not fill the target; when the target is filled the
suppression gate is asked once more, and the files are rendered. When it cannot be filled, the budget is reached, a stage
takes too long or a dependency is down, the run waits for a decision, which amends it, and goes on.
"""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.activity_io import (
        CompanyBatchInput,
        DecisionInput,
        QuestionInput,
        RunInput,
        RunStateInput,
        SearchTaskBatchInput,
    )
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
    from workflows.decisions import PendingDecision, preset_answer
    from workflows.finish import RunFinisher
    from workflows.messages import DecisionReceipt, LeadListInput, LeadListResult
    from workflows.names import QUERY_PROGRESS, SIGNAL_DECISION, STAGE, STATUS, UPDATE_DECISION
    from workflows.notifications import notify
    from workflows.open_work import OpenWork
    from workflows.outages import has_recovered, outage_from
    from workflows.pause_reasons import PauseReason, exhausted, interrupted, stage_timed_out
    from workflows.state import WAITING_MAX, RunState
    from workflows.ui import render_details

_TASKS_AT_ONCE = 20
# Asked for these reasons, "retry" has the agents look anew; for the others they go on with the turns that are stored.
_ANEW = frozenset({DecisionReason.CANDIDATES_EXHAUSTED, DecisionReason.LOW_MATCH_RATE, DecisionReason.CONTACTS_SHORT})


@workflow.defn
class LeadListWorkflow:
    """One run. Its id is ``lead-list-<run id>``; it owns the truth about the run's progress."""

    @workflow.init
    def __init__(self, start: LeadListInput) -> None:
        self._is_new = start.state is None
        self._state = start.state or RunState(request=start.request)
        self._open = OpenWork(self._state)
        self._gate = PendingDecision()
        self._end = RunFinisher(self._state, self._gate, self._show)

    @workflow.run
    async def run(self, start: LeadListInput) -> LeadListResult:
        """Run to the end, however long a person takes to decide."""
        try:
            if self._is_new:
                self._state.stage_entered_at = workflow.now()
                await activity_stubs.plan_run_search(RunInput(request=self._state.request))
            self._show()
            return await self._work()
        except (asyncio.CancelledError, FailureError) as error:
            # From here on it ends in order, and what that takes is itself not cancelled any more (``activity_stubs.stop_if_cancelled``).
            activity_stubs.clear_cancellation()
            await self._open.stop()
            if is_cancelled_exception(error) and self._state.status is RunStatus.COMPLETED:
                await activity_stubs.export_run(
                    RunInput(request=self._state.request)
                )  # it was over already but for this
            elif is_cancelled_exception(error):
                await self._end.end(RunStatus.CANCELLED, "cancelled; what was found is kept")
            else:
                await self._end.end(RunStatus.ERROR, "failed; the workflow's failure says why")
            await notify(self._state.request.run_id, self._state.status.value)
            raise

    @workflow.query(name=QUERY_PROGRESS, description="Counts, funnel and the open question")
    def progress(self) -> RunProgress:
        """How far the run is."""
        state, wanted = self._state, self._state.target * self._state.request.contacts_min
        return RunProgress(
            run_id=state.request.run_id,
            stage=state.stage,
            status=state.status,
            target_quantity=state.target,
            companies_ready=state.ready,
            contacts_ready=state.contacts_ready,
            contacts_gap=max(0, wanted - state.ready * state.request.contacts_min),
            funnel=state.funnel,
            named=state.named,
            exhausted_kinds=state.exhausted_kinds + state.skipped_before,
            open_discovery=len(self._open.tasks),
            open_research=len(self._open.companies) - self._open.in_contacts,
            open_contacts=self._open.in_contacts,
            queued=len(state.waiting),
            search_tasks_done=state.tasks_done,
            cost_usd=state.spend.cost_usd,
            model_calls=state.spend.model_calls,
            decision=self._gate.question,
            problem=self._gate.problem,
            note=state.note,
            stage_entered_at=state.stage_entered_at,
        )

    @workflow.signal(name=SIGNAL_DECISION, description='Decide. JSON: {"decision_id": "decision-1", "action": "…"}')
    def resolve_decision(self, raw: Any = None) -> None:
        """Take an answer. One that makes no sense is recorded and shown, and the run still waits."""
        self._gate.accept_or_refuse(raw, self._state.request)

    @workflow.update(name=UPDATE_DECISION, description="The same, and answers: the receipt, or why it was refused")
    def submit_decision(self, raw: Any = None) -> DecisionReceipt:
        """Take an answer that the validator has found to make sense."""
        decision = self._gate.parse(raw, self._state.request)
        self._gate.accept(decision)
        return DecisionReceipt(decision_id=decision.decision_id, action=decision.action)

    @submit_decision.validator
    def _validate_decision(self, raw: Any = None) -> None:
        try:
            self._gate.parse(raw, self._state.request)
        except DecisionError as error:
            raise ApplicationError(str(error), type="InvalidDecision", non_retryable=True) from error

    @workflow.signal(name=REACHED_CONTACTS, description="From a company's workflow: research is done")
    def company_reached_contacts(self, position: int) -> None:
        """Count a company among those in contact discovery."""
        self._open.company_reached_contacts(position)

    async def _work(self) -> LeadListResult:
        accepted: Decision | None = None  # a person takes the list as it is
        while True:
            shortfall = await self._fill_target() if accepted is None else None
            is_at_gate = shortfall is None
            if shortfall is None:
                await self._open.stop()
                try:
                    result = await self._end.deliver(accepted)
                    if result is not None:
                        return result
                    continue
                except ActivityError as error:
                    outage = outage_from(error)
                    if is_cancelled_exception(error) or outage is None:
                        raise
                    self._open.outages.note(outage)
                    shortfall = interrupted(Interruption.DEPENDENCY_DOWN, self._state, (outage,))
            decision = await self._decide(shortfall, may_be_withdrawn=not is_at_gate)
            if decision is not None and decision.action is DecisionAction.CANCEL:
                await self._open.stop()
                return await self._end.cancelled(decision)
            if decision is not None and decision.action is not DecisionAction.RETRY:
                accepted = decision if decision.action is DecisionAction.ACCEPT_PARTIAL else None

    async def _fill_target(self) -> PauseReason | None:
        """Work until the selection is settled (None) or a person has to decide (why)."""
        state = self._state
        while True:
            await self._gate.record_refused()
            await self._load_companies()
            if state.tasks_requeued and not self._open.tasks:
                await self._load_tasks_anew()
            if self._is_filled():
                return None
            if self._open.interruption is not None:
                if not self._settles_first(self._open.interruption):
                    return interrupted(self._open.interruption, state, self._open.outages.down)
            elif self._history_is_long():
                # Nothing new is started; when the last open work has come home, the run continues as new.
                # An answer refused in the meantime is recorded first: it is not carried over.
                if self._open.is_empty and not self._gate.has_refused:
                    await workflow.wait_condition(workflow.all_handlers_finished)
                    workflow.continue_as_new(LeadListInput(request=state.request, state=state))
            else:
                await self._start_work()
                if self._open.is_empty:
                    if await self._finds_more_stored():
                        continue
                    return exhausted(state)
            await self._enter_stage()
            if not await self._wait_for_change():
                return stage_timed_out(state)

    def _settles_first(self, interruption: Interruption) -> bool:
        """Whether what is open comes to its end before the run asks: of a budget, for what others have set aside may fill the target
        yet, or come back. Nothing is begun meanwhile."""
        is_budget = interruption is Interruption.BUDGET_REACHED and not self._open.is_empty
        return is_budget and workflow.patched("settle_before_budget_question")

    async def _finds_more_stored(self) -> bool:
        """Whether companies were put back into the store (accepted by a person) of which no search has told."""
        if not workflow.patched("read_store_before_asking"):
            return False
        self._open.unread = True
        await self._load_companies()
        return bool(self._state.waiting)

    def _is_filled(self) -> bool:
        return self._state.is_filled(self._open.companies, self._open.tasks)

    async def _wait_for_change(self) -> bool:
        """Wait until something has happened; False when the stage has run out of time."""
        left = timedelta(seconds=self._state.request.limits.stage_timeout_s) - self._stage_time()
        if left <= timedelta(0):
            return False
        try:
            await workflow.wait_condition(
                lambda: self._open.changed or self._gate.has_refused,
                timeout=left,
                timeout_summary=f"time-out of {self._state.stage.value}",
            )
        except TimeoutError:
            return False
        self._open.changed = False
        return True

    def _stage_time(self) -> timedelta:
        """What the present stage has taken, over all the times that the run was in it."""
        entered = self._state.stage_entered_at or workflow.now()
        return workflow.now() - entered + timedelta(seconds=self._state.stage_spent_s.get(self._state.stage, 0.0))

    def _restart_stage(self) -> None:
        """Give every stage its full time again: what a run waited for, a person or what was down, is not its own time."""
        self._state.stage_entered_at, self._state.stage_spent_s = workflow.now(), {}

    async def _load_companies(self) -> None:
        """Read companies stored since the last look, as long as the line is not full: the rest waits in the store."""
        state = self._state
        while (self._open.unread or state.unread_companies) and len(state.waiting) < WAITING_MAX:
            self._open.unread = False
            params = CompanyBatchInput(run_id=state.request.run_id, cursor=state.companies_cursor)
            found = await activity_stubs.new_companies(params)
            state.companies_cursor = found.cursor
            for ref in found.companies:
                self._open.company_found(ref)
            state.unread_companies = found.remaining

    async def _start_work(self) -> None:
        state, windows = self._state, self._state.request.windows
        if state.probing:
            windows = windows.model_copy(update={"companies": 1, "discovery": 1})
        while len(self._open.companies) < windows.companies:
            ref = state.next_company(len(self._open.companies))
            if ref is None:
                break
            self._open.start_company(ref)
        while len(self._open.tasks) < windows.discovery:
            if state.tasks_requeued or not state.needs_task(len(self._open.companies)):
                break
            if not state.tasks and state.tasks_left:
                await self._load_tasks()
            if not state.tasks or self._open.must_wait(state.tasks[0]):
                break
            task = state.tasks.pop(0)
            state.tasks_cursor = max(state.tasks_cursor, task.ordinal)
            self._open.start_task(task)

    async def _load_tasks(self) -> None:
        state = self._state
        params = SearchTaskBatchInput(
            run_id=state.request.run_id,
            after_ordinal=state.tasks_cursor,
            limit=_TASKS_AT_ONCE,
            exhausted_kinds=state.exhausted_kinds,
        )
        handed_out = await activity_stubs.next_search_tasks(params)
        state.tasks, state.skipped = list(handed_out.tasks), handed_out.skipped
        state.tasks_left = bool(state.tasks)

    async def _load_tasks_anew(self) -> None:
        """From the first that is not done: kinds that were given up are taken up again, and failed searches too."""
        self._state.tasks, self._state.tasks_cursor = [], -1
        self._state.tasks_requeued = False
        await self._load_tasks()

    def _history_is_long(self) -> bool:
        info, events_max = workflow.info(), self._state.request.windows.history_events_max
        if events_max is not None and info.get_current_history_length() >= events_max:
            return True
        return info.is_continue_as_new_suggested()

    async def _decide(self, shortfall: PauseReason, *, may_be_withdrawn: bool) -> Decision | None:
        """Put the question, wait for its answer and apply it; None when there is nothing left to ask: the target is filled, or
        what was down answers again."""
        state, windows = self._state, self._state.request.windows
        is_outage = shortfall.reason is DecisionReason.DEPENDENCY_DOWN and workflow.patched("resume_after_outage")
        if is_outage and await self._open.outages.wait_for_database(self._show):
            self._open.interruption = None
            self._restart_stage()
            return None
        state.decisions += 1
        deadline = workflow.now() + timedelta(seconds=windows.decision_deadline_s)
        question = await activity_stubs.store_question(
            QuestionInput(
                request=state.request,
                stage=state.stage,
                reason=shortfall.reason,
                decision_id=f"decision-{state.decisions}",
                message=shortfall.message,
                complete=state.ready,
                deadline_at=deadline.isoformat(),
            )
        )
        self._gate.open(question)
        state.status = RunStatus.NEEDS_USER_DECISION
        self._show()
        decision = preset_answer(question, state.request)
        if decision is None:
            watch = self._open.outages.watch() if is_outage else None
            decision = await self._gate.answer(
                state.request.run_id, watch, lambda: may_be_withdrawn and self._is_filled(), self._show
            )
            if decision is None and has_recovered(watch):
                self._open.outages.resumed()
        self._gate.close()
        self._open.interruption = None
        self._open.outages.forget()
        state.status = RunStatus.ACTIVE
        self._restart_stage()
        if decision is None:
            await self._record_state()
        else:
            if amend(state.request, decision).criteria != state.request.criteria:
                # What is open is being judged under the old criteria: it is taken up again under the new ones.
                await self._open.stop()
            await self._apply(decision, question)
        self._show()
        return decision

    async def _apply(self, decision: Decision, question: DecisionRequest) -> None:
        """Amend the run as decided, and put back what the amendment may let in."""
        state = self._state
        state.request = amend(state.request, decision)
        state.note = f"{decision.decision_id}: {decision.action.value} by {decision.decided_by}"
        if decision.action is DecisionAction.RETRY and question.reason in _ANEW:
            state.retry_round += 1
        if decision.action not in ENDING:
            state.new_by_kind, state.skipped, state.tasks_left = {}, (), True
            state.reopen({reason.value for reason in reopened_reasons(decision)})
        await activity_stubs.apply_decision(DecisionInput(request=state.request, decision=decision, question=question))
        self._open.unread = True
        if decision.action in ENDING:
            state.tasks_requeued = False
        elif self._open.is_empty:
            await self._load_tasks_anew()
        elif workflow.patched("take_up_searches_put_back"):
            # As soon as no search is open: one that is would be handed out a second time.
            state.tasks_requeued = True

    async def _enter_stage(self) -> None:
        """Move to the earliest stage that has open work; written where people query it when it changes."""
        stage = self._open.earliest_stage()
        if stage is not None and stage is not self._state.stage:
            self._state.stage_spent_s[self._state.stage] = self._stage_time().total_seconds()
            self._state.stage, self._state.stage_entered_at = stage, workflow.now()
            await self._record_state()
        self._show()

    async def _record_state(self) -> None:
        state = self._state
        params = RunStateInput(run_id=state.request.run_id, stage=state.stage, status=state.status, note=state.note)
        await activity_stubs.record_state(params)

    def _show(self) -> None:
        """Show the state in the Web UI: search attributes and current details."""
        state, shown = self._state, workflow.info().typed_search_attributes
        if shown.get(STATUS) != state.status.value or shown.get(STAGE) != state.stage.value:
            workflow.upsert_search_attributes(
                [STATUS.value_set(state.status.value), STAGE.value_set(state.stage.value)]
            )
        workflow.set_current_details(render_details(self.progress(), workflow.info().workflow_id))
