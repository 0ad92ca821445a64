"""Activities on a whole run: plan searches, list tasks and companies, handle decisions, and finish."""

from datetime import datetime

import structlog
from temporalio import activity

from activities.company import end_company
from activities.decision_options import options_for
from activities.stored_candidates import wanted_candidates
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


class RunActivities:
    """Every activity is safe to run twice, because all writes have keys."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    @activity.defn
    async def plan_run_search(self, params: RunInput) -> int:
        """Store the search tasks that the run lacks, and return how many were added."""
        async with self._database.transaction() as conn:
            added = await self._plan(conn, params.request)
            await audit.record(conn, params.request.run_id, "run_started", "1")
        return added

    @activity.defn
    async def next_search_tasks(self, params: SearchTaskBatchInput) -> SearchTaskBatch:
        async with self._database.transaction() as conn:
            await search_tasks.skip_open_tasks(conn, params.run_id, params.exhausted_kinds)
            tasks = await search_tasks.next_open(conn, params.run_id, params.after_ordinal, params.limit)
            skipped = await search_tasks.skipped_kinds(conn, params.run_id)
        return SearchTaskBatch(tasks=tuple(tasks), skipped=tuple(skipped))

    @activity.defn
    async def new_companies(self, params: CompanyBatchInput) -> CompanyBatch:
        async with self._database.transaction() as conn:
            refs, cursor = await companies.list_open_after(conn, params.run_id, params.cursor, params.limit)
            remaining = await companies.count_open_after(conn, params.run_id, cursor)
        return CompanyBatch(companies=tuple(refs), cursor=cursor, remaining=remaining)

    @activity.defn
    async def fail_company(self, params: CompanyInput) -> None:
        """End a company whose activity failed permanently. The run continues without it."""
        decided = CriteriaResult(status=CompanyStatus.FAILED, reason=ReasonCode.STEP_FAILED)
        async with self._database.transaction() as conn:
            await end_company(conn, await companies.get_company(conn, params.company.company_id), decided)

    @activity.defn
    async def record_state(self, params: RunStateInput) -> None:
        async with self._database.transaction() as conn:
            await runs.set_state(conn, params.run_id, params.stage, params.status, params.note)

    @activity.defn
    async def store_question(self, params: QuestionInput) -> DecisionRequest:
        request, decision_id = params.request, params.decision_id
        async with self._database.transaction() as conn:
            await runs.set_state(conn, request.run_id, params.stage, RunStatus.NEEDS_USER_DECISION, "")
            question = DecisionRequest(
                decision_id=decision_id,
                reason=params.reason,
                message=params.message + await _spent(conn, params),
                funnel=await companies.funnel(conn, request.run_id),
                options=await options_for(conn, request, params.reason, decision_id, params.complete),
                default=_default(params),
                deadline=datetime.fromisoformat(params.deadline_at),
            )
            await runs.set_question(conn, request.run_id, question)
            detail = {"decision_id": decision_id, "reason": params.reason.value, "message": params.message}
            await audit.record(conn, request.run_id, "decision_requested", decision_id, detail=detail)
        log.info("decision_requested", decision_id=decision_id, reason=params.reason.value)
        return question

    @activity.defn
    async def apply_decision(self, params: DecisionInput) -> int:
        """Store an answer, amend the run and reopen companies. Return how many were reopened."""
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
            await companies.lock_run(conn, request.run_id)  # or new sequence numbers could commit out of order
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
        """Store a refused answer. An open question then shows the reason."""
        info = activity.info()
        key = f"{params.decision_id}/{info.workflow_run_id}/{info.activity_id}"
        detail = {"decision_id": params.decision_id, "problem": params.problem}
        async with self._database.transaction() as conn:
            await runs.set_problem(conn, params.run_id, params.problem)
            await audit.record(conn, params.run_id, "decision_refused", key, detail=detail)

    @activity.defn
    async def finish_run(self, params: FinishInput) -> FinishResult:
        """End a run and deliver its first complete companies.

        If the selection changed since the final suppression check, write nothing and continue. If an earlier attempt ended the
        run, keep that end, unless the run was cancelled in the meantime.
        """
        request, status = params.request, params.status
        async with self._database.transaction() as conn:
            stored = await runs.lock_result(conn, request.run_id)
            if stored is not None and (stored.status is status or status is RunStatus.COMPLETED):
                people = await export_rows.count_selected_contacts(conn, stored.selected)
                return FinishResult(companies=len(stored.selected), contacts=people)
            selected = await companies.complete_in_order(conn, request.run_id, request.target_quantity)
            people = await export_rows.count_selected_contacts(conn, selected)
            if params.passed_digest:
                whole = await export_rows.count_with_contacts(conn, selected, request.contacts_min)
                if whole < len(selected) or selection_digest(selected) != params.passed_digest:
                    log.info("selection_changed_after_suppression_check", companies=whole)
                    return FinishResult(companies=whole, contacts=people, selection_changed=True)
            await runs.finish(conn, request.run_id, status, selected, params.note)
            await agent_turns.mark_open_turns_lost(conn, request.run_id)
            detail = {"companies": len(selected), "contacts": people, "note": params.note}
            await audit.record(conn, request.run_id, f"run_{status.value}", "1", detail=detail)
        log.info("run_ended", status=status.value, companies=len(selected), contacts=people)
        return FinishResult(companies=len(selected), contacts=people)

    async def _plan(self, conn: Connection, request: RunRequest) -> int:
        wanted = wanted_candidates(request.criteria)
        stored = await stored_candidates.count_stored_candidates(conn, request.run_id, wanted)
        skipped = await search_tasks.skipped_before(conn, request.run_id, self._settings.search_ttl_hours)
        tasks = plan_search(request.criteria, stored)
        return await search_tasks.insert_tasks(conn, request.run_id, tasks, skipped=skipped)


def _default(params: QuestionInput) -> DecisionAction:
    if params.reason is DecisionReason.DEPENDENCY_DOWN:
        return DecisionAction.RETRY
    return DecisionAction.ACCEPT_PARTIAL if params.complete else DecisionAction.CANCEL


async def _spent(conn: Connection, params: QuestionInput) -> str:
    """Return a sentence about the spend if the budget is reached. The workflow does not know the cost of open activities."""
    if params.reason is not DecisionReason.BUDGET_REACHED:
        return ""
    spend = await runs.spend(conn, params.request.run_id)
    price = f" for ${spend['cost_usd']:.4g}" if params.request.limits.max_cost_usd is not None else ""
    calls = f"{spend['model_calls']:,} call{'' if spend['model_calls'] == 1 else 's'}"
    return f" So far {calls}{price}; the next one may cost more than what is left."
