"""The steps on a whole run: plan its search, hand out tasks and companies, put questions, apply answers, end it."""

from datetime import datetime

import structlog
from temporalio import activity

from activities.company import end_company
from activities.questions import options_for
from activities.stored_candidates import wanted_of
from domain.activity_io import (
    CompanyBatch,
    CompanyBatchInput,
    CompanyInput,
    DecisionInput,
    FinishInput,
    FinishResult,
    QuestionInput,
    RefusedAnswerInput,
    RunInput,
    RunStateInput,
    SearchTaskBatch,
    SearchTaskBatchInput,
)
from domain.company.criteria_verdicts import CriteriaResult
from domain.company.status import CompanyStatus, ReasonCode
from domain.delivery.selection_digest import selection_digest
from domain.request.decision import ENDING, DecisionAction, DecisionReason, DecisionRequest
from domain.request.progress import RunStatus
from domain.request.reopening import reopened_reasons
from domain.request.run_request import RunRequest
from domain.request.search_plan import plan_search
from settings import Settings
from store.companies import companies, stored_candidates
from store.database import Connection, Database
from store.delivery import export_rows
from store.runs import agent_turns, audit, runs, search_tasks

log = structlog.get_logger()


def _default(params: QuestionInput) -> DecisionAction:
    """What is done without an answer: an outage is waited out, a shortfall delivered as it is."""
    if params.reason is DecisionReason.DEPENDENCY_DOWN:
        return DecisionAction.RETRY
    return DecisionAction.ACCEPT_PARTIAL if params.complete else DecisionAction.CANCEL


async def _spent(conn: Connection, params: QuestionInput) -> str:
    """At the limit, what is spent of it: from the store, for a workflow learns what a step has cost only at its end."""
    if params.reason is not DecisionReason.BUDGET_REACHED:
        return ""
    spend = await runs.spend(conn, params.request.run_id)
    price = f" for ${spend['cost_usd']:.4g}" if params.request.limits.max_cost_usd is not None else ""
    calls = f"{spend['model_calls']:,} call{'' if spend['model_calls'] == 1 else 's'}"
    return f" So far {calls}{price}; the next one may come to more than what is left."


class RunActivities:
    """Runs as a whole. All writes are keyed, so each step is safe to run twice."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    @activity.defn
    async def plan_run_search(self, params: RunInput) -> int:
        """Store the search tasks that the criteria call for and the run does not have yet; returns how many."""
        async with self._database.transaction() as conn:
            added = await self._plan(conn, params.request)
            await audit.record(conn, params.request.run_id, "run_started", "1")
        return added

    @activity.defn
    async def next_search_tasks(self, params: SearchTaskBatchInput) -> SearchTaskBatch:
        """The next open search tasks in plan order; those of kinds that have dried up are given up."""
        async with self._database.transaction() as conn:
            await search_tasks.skip_open_tasks(conn, params.run_id, params.exhausted_kinds)
            tasks = await search_tasks.next_open(conn, params.run_id, params.after_ordinal, params.limit)
            skipped = await search_tasks.skipped_kinds(conn, params.run_id)
        return SearchTaskBatch(tasks=tuple(tasks), skipped=tuple(skipped))

    @activity.defn
    async def new_companies(self, params: CompanyBatchInput) -> CompanyBatch:
        """Companies stored since the last look."""
        async with self._database.transaction() as conn:
            refs, cursor = await companies.list_open_after(conn, params.run_id, params.cursor, params.limit)
            remaining = await companies.count_open_after(conn, params.run_id, cursor)
        return CompanyBatch(companies=tuple(refs), cursor=cursor, remaining=remaining)

    @activity.defn
    async def fail_company(self, params: CompanyInput) -> None:
        """End a company whose activity failed for good, so that the run goes on without it."""
        decided = CriteriaResult(status=CompanyStatus.FAILED, reason=ReasonCode.STEP_FAILED)
        async with self._database.transaction() as conn:
            await end_company(conn, await companies.get_company(conn, params.company.company_id), decided)

    @activity.defn
    async def record_state(self, params: RunStateInput) -> None:
        """Write stage and status where people query them."""
        async with self._database.transaction() as conn:
            await runs.set_state(conn, params.run_id, params.stage, params.status, params.note)

    @activity.defn
    async def store_question(self, params: QuestionInput) -> DecisionRequest:
        """Store a question with its options. From here on the run buys nothing until it is answered."""
        async with self._database.transaction() as conn:
            await runs.set_state(conn, params.request.run_id, params.stage, RunStatus.NEEDS_USER_DECISION, "")
            funnel = await companies.funnel(conn, params.request.run_id)
            options = await options_for(conn, params.request, params.reason, params.decision_id, params.complete)
            question = DecisionRequest(
                decision_id=params.decision_id,
                reason=params.reason,
                message=params.message + await _spent(conn, params),
                funnel=funnel,
                options=options,
                default=_default(params),
                deadline=datetime.fromisoformat(params.deadline_at),
            )
            await runs.set_question(conn, params.request.run_id, question)
            await audit.record(
                conn,
                params.request.run_id,
                "decision_requested",
                params.decision_id,
                detail={"decision_id": params.decision_id, "reason": params.reason.value, "message": params.message},
            )
        log.info("decision_requested", decision_id=params.decision_id, reason=params.reason.value)
        return question

    @activity.defn
    async def apply_decision(self, params: DecisionInput) -> int:
        """Store an answer, amend the run and put back the companies it may let in; returns how many."""
        request, decision = params.request, params.decision
        reasons = reopened_reasons(decision)
        async with self._database.transaction() as conn:
            await audit.record(
                conn,
                request.run_id,
                "decision_taken",
                decision.decision_id,
                actor=decision.decided_by,
                detail=decision.model_dump(mode="json", exclude_defaults=True),
            )
            await runs.amend(conn, request)
            await companies.lock_run(conn, request.run_id)  # new sequence numbers must become visible in order
            reopened = await companies.reopen_by_reason(conn, request.run_id, reasons) if reasons else 0
            if decision.action not in ENDING:
                await search_tasks.reopen(conn, request.run_id, "skipped")
            if decision.action is DecisionAction.RETRY:
                await search_tasks.reopen(conn, request.run_id, "failed")
            if decision.action in {DecisionAction.EXPAND_LOCATION, DecisionAction.LOOSEN_PMS}:
                await self._plan(conn, request)
        log.info("decision_taken", decision_id=decision.decision_id, action=decision.action.value, reopened=reopened)
        return reopened

    @activity.defn
    async def record_refused_decision(self, params: RefusedAnswerInput) -> None:
        """Keep an answer that was refused, and why; an open question shows it."""
        async with self._database.transaction() as conn:
            await runs.set_problem(conn, params.run_id, params.problem)
            await audit.record(
                conn,
                params.run_id,
                "decision_refused",
                f"{params.decision_id}/{activity.info().workflow_run_id}/{activity.info().activity_id}",
                detail={"decision_id": params.decision_id, "problem": params.problem},
            )

    @activity.defn
    async def finish_run(self, params: FinishInput) -> FinishResult:
        """End a run: the first complete companies in order are what it delivers, counts and exports.

        Are these not the ones any more that passed the last gate (somebody was forgotten since), nothing is written and the run goes on.
        An end that is stored stays as it is: it is an earlier attempt's, whose answer was lost. But a run that was cancelled while
        its end was being stored is cancelled, in whichever order the two arrive.
        """
        async with self._database.transaction() as conn:
            stored = await runs.lock_result(conn, params.request.run_id)
            if stored is not None and (stored.status is params.status or params.status is RunStatus.COMPLETED):
                people = await export_rows.contacts_selected(conn, stored.selected)
                return FinishResult(companies=len(stored.selected), contacts=people)
            selected = await companies.complete_in_order(conn, params.request.run_id, params.request.target_quantity)
            people = await export_rows.contacts_selected(conn, selected)
            if params.passed_digest:
                whole = await export_rows.count_with_contacts(conn, selected, params.request.contacts_min)
                if whole < len(selected) or selection_digest(selected) != params.passed_digest:
                    log.info("selection_changed_after_gate", companies=whole)
                    return FinishResult(companies=whole, contacts=people, selection_changed=True)
            await runs.finish(conn, params.request.run_id, params.status, selected, params.note)
            await agent_turns.mark_open_turns_lost(conn, params.request.run_id)
            await audit.record(
                conn,
                params.request.run_id,
                f"run_{params.status.value}",
                "1",
                detail={"companies": len(selected), "contacts": people, "note": params.note},
            )
        log.info("run_ended", status=params.status.value, companies=len(selected), contacts=people)
        return FinishResult(companies=len(selected), contacts=people)

    async def _plan(self, conn: Connection, request: RunRequest) -> int:
        at_hand = await stored_candidates.count_stored_candidates(conn, request.run_id, wanted_of(request.criteria))
        skipped = await search_tasks.skipped_before(conn, request.run_id, self._settings.search_ttl_hours)
        tasks = plan_search(request.criteria, at_hand)
        return await search_tasks.insert_tasks(conn, request.run_id, tasks, skipped=skipped)
