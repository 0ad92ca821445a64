"""Every activity, in memory, with its production name and types.

Rows, purchases and plans are in ``fake_run.py``. The real activities are tested against Postgres, elsewhere.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from temporalio import activity
from temporalio.exceptions import ApplicationError

from domain.activity_io import (
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
    SearchTaskRef,
    Spend,
    SuppressionCheckInput,
    SuppressionCheckResult,
    WithdrawnCompany,
)
from domain.company.status import CompanyStatus, ReasonCode
from domain.contact.contact_selection import CONTACT_ATTEMPTS_MAX
from domain.delivery.selection_digest import selection_digest
from domain.failures import STILL_DOWN
from domain.request.decision import DecisionAction, DecisionOption, DecisionRequest
from domain.request.progress import RunStatus
from domain.request.reopening import reopened_reasons
from tests.workflows.fake_run import FakeRun

_ONE_CALL = Spend(cost_usd=0.01, model_calls=1)
_AGENT_CALLS = frozenset({"discover", "research_company", "find_contacts"})
_BY_CODE = frozenset(code for code in ReasonCode if code.startswith(("pms_", "place_", "site_"))) | {
    ReasonCode.SUPPRESSED,
    ReasonCode.DUPLICATE,
    ReasonCode.NO_OWN_DOMAIN,
}


class World:
    def __init__(self) -> None:
        self.runs: dict[UUID, FakeRun] = {}

    def agent_calls(self) -> list[Callable[..., Any]]:
        """The activities of the agents' task queue."""
        return [activity_ for activity_ in self._all() if _name(activity_) in _AGENT_CALLS]

    def other_activities(self) -> list[Callable[..., Any]]:
        return [activity_ for activity_ in self._all() if _name(activity_) not in _AGENT_CALLS]

    def _all(self) -> list[Callable[..., Any]]:
        members = [getattr(self, name) for name in dir(self) if not name.startswith("_")]
        return [member for member in members if hasattr(member, "__temporal_activity_definition")]

    async def _begin(self, name: str, run_id: UUID, params: Any, key: int | None = None) -> FakeRun:
        run = self.runs[run_id]
        await run.begin(name, key, params)
        return run

    @activity.defn
    async def plan_run_search(self, params: RunInput) -> int:
        run = await self._begin("plan_run_search", params.request.run_id, params)
        return len(run.tasks)

    @activity.defn
    async def next_search_tasks(self, params: SearchTaskBatchInput) -> SearchTaskBatch:
        run = await self._begin("next_search_tasks", params.run_id, params)
        if "individual" in params.exhausted_kinds:
            run.skipped = params.exhausted_kinds  # the only kind here
            return SearchTaskBatch(skipped=run.skipped)
        ended = run.done_tasks | run.failed_tasks
        ordinals = [o for o in range(len(run.tasks)) if o > params.after_ordinal and o not in ended]
        return SearchTaskBatch(
            tasks=tuple(
                SearchTaskRef(
                    task_id=uuid5(params.run_id, f"task {o}"),
                    ordinal=o,
                    label=f"search {o}",
                    kind="directory_pages" if o in run.directories else "individual",
                )
                for o in ordinals[: params.limit]
            ),
            skipped=run.skipped,
        )

    @activity.defn
    async def discover(self, params: SearchTaskInput) -> SearchTaskOutcome:
        ordinal = params.task.ordinal
        run = await self._begin("discover", params.request.run_id, params, ordinal)
        interruption = run.buy("discover", ordinal, params.retry_round)
        if interruption is not None:
            return SearchTaskOutcome(interruption=interruption)
        before = len(run.rows)
        for place, ending in enumerate(run.tasks[ordinal]):
            run.store(ordinal, place, ending)
        run.done_tasks.add(ordinal)
        return SearchTaskOutcome(named=len(run.tasks[ordinal]), new=len(run.rows) - before, spend=_ONE_CALL)

    @activity.defn
    async def fail_search_task(self, params: SearchTaskInput) -> None:
        run = await self._begin("fail_search_task", params.request.run_id, params, params.task.ordinal)
        run.failed_tasks.add(params.task.ordinal)

    @activity.defn
    async def new_companies(self, params: CompanyBatchInput) -> CompanyBatch:
        run = await self._begin("new_companies", params.run_id, params)
        fresh = [r for r in run.rows.values() if r.seq > params.cursor and r.status is CompanyStatus.FOUND]
        page = sorted(fresh, key=lambda row: row.seq)[: params.limit]
        return CompanyBatch(
            companies=tuple(row.ref for row in page),
            cursor=page[-1].seq if page else params.cursor,
            remaining=len(fresh) - len(page),
        )

    @activity.defn
    async def qualify_company(self, params: CompanyInput) -> CompanyOutcome:
        position = params.company.position
        run = await self._begin("qualify_company", params.request.run_id, params, position)
        row = run.rows[position]
        if row.status is not CompanyStatus.FOUND:
            return CompanyOutcome(status=row.status, reason=row.reason)
        reason = run.ending_of(params)
        return run.end(position, reason) if reason in _BY_CODE else CompanyOutcome()

    @activity.defn
    async def research_company(self, params: CompanyInput) -> CompanyOutcome:
        position = params.company.position
        run = await self._begin("research_company", params.request.run_id, params, position)
        interruption = run.buy("research_company", position, params.retry_round)
        if interruption is not None:
            return CompanyOutcome(interruption=interruption)
        reason = run.ending_of(params)
        if reason in {ReasonCode.COMPLETE, ReasonCode.CONTACTS_SHORT}:
            return CompanyOutcome(spend=_ONE_CALL)
        outcome = run.end(position, reason, spend=_ONE_CALL)
        await run.pass_hold("research_company has ended", position)
        return outcome

    @activity.defn
    async def find_contacts(self, params: CompanyInput) -> CompanyOutcome:
        position = params.company.position
        run = await self._begin("find_contacts", params.request.run_id, params, position)
        interruption = run.buy("find_contacts", position, params.retry_round, params.contacts_attempt)
        return CompanyOutcome(interruption=interruption, spend=Spend() if interruption else _ONE_CALL)

    @activity.defn
    async def verify_emails(self, params: CompanyInput) -> int:
        await self._begin("verify_emails", params.request.run_id, params, params.company.position)
        return 0

    @activity.defn
    async def select_contacts(self, params: CompanyInput) -> CompanyOutcome:
        position = params.company.position
        run = await self._begin("select_contacts", params.request.run_id, params, position)
        if run.ending_of(params) is ReasonCode.COMPLETE:
            return run.end(position, ReasonCode.COMPLETE, contacts=params.request.contacts_min)
        if params.contacts_attempt < CONTACT_ATTEMPTS_MAX:
            return CompanyOutcome()
        return run.end(position, ReasonCode.CONTACTS_SHORT)

    @activity.defn
    async def fail_company(self, params: CompanyInput) -> None:
        run = await self._begin("fail_company", params.request.run_id, params, params.company.position)
        run.end(params.company.position, ReasonCode.STEP_FAILED)

    @activity.defn
    async def record_state(self, params: RunStateInput) -> None:
        run = await self._begin("record_state", params.run_id, params)
        if params.status is not RunStatus.NEEDS_USER_DECISION:
            run.question = None

    @activity.defn
    async def store_question(self, params: QuestionInput) -> DecisionRequest:
        run = await self._begin("store_question", params.request.run_id, params)
        actions = (DecisionAction.ACCEPT_PARTIAL, DecisionAction.RETRY, DecisionAction.CANCEL)
        run.question = DecisionRequest(
            decision_id=params.decision_id,
            reason=params.reason,
            message=params.message,
            funnel=dict(Counter(row.reason or "open" for row in run.rows.values())),
            options=tuple(
                DecisionOption(action=a, description=a.value, answer={"decision_id": params.decision_id, "action": a})
                for a in actions
            ),
            default=DecisionAction.ACCEPT_PARTIAL if params.complete else DecisionAction.CANCEL,
            deadline=datetime.fromisoformat(params.deadline_at),
        )
        return run.question

    @activity.defn
    async def apply_decision(self, params: DecisionInput) -> int:
        run = await self._begin("apply_decision", params.request.run_id, params)
        run.request, run.question = params.request, None
        if params.decision.action is DecisionAction.EXPAND_LOCATION:
            run.tasks += run.tasks_of_expansion
        if params.decision.action is DecisionAction.RETRY:
            run.failed_tasks.clear()
        return run.reopen(reopened_reasons(params.decision))

    @activity.defn
    async def record_refused_decision(self, params: RefusedAnswerInput) -> None:
        await self._begin("record_refused_decision", params.run_id, params)

    @activity.defn
    async def check_dependencies(self, params: DependencyCheckInput) -> None:
        run = await self._begin("check_dependencies", params.run_id, params)
        if not run.check():
            raise ApplicationError("no answer yet", type=STILL_DOWN)

    @activity.defn
    async def recheck_suppression(self, params: SuppressionCheckInput) -> SuppressionCheckResult:
        run = await self._begin("recheck_suppression", params.request.run_id, params)
        taken = [position for position in run.complete() if position in run.suppressed_late]
        for position in taken:
            run.end(position, ReasonCode.SUPPRESSED)
        taken += sorted(run.forgotten)
        run.forgotten.clear()
        refs = (run.rows[position].ref for position in taken)
        passed = selection_digest([run.rows[position].ref.company_id for position in run.complete()])
        return SuppressionCheckResult(
            companies=tuple(WithdrawnCompany(**ref.model_dump()) for ref in refs), passed_digest=passed
        )

    @activity.defn
    async def finish_run(self, params: FinishInput) -> FinishResult:
        run = await self._begin("finish_run", params.request.run_id, params)
        selected = [run.rows[position].ref.company_id for position in run.complete()]
        selection_changed = bool(params.passed_digest) and selection_digest(selected) != params.passed_digest
        if not selection_changed:
            run.question = None
        contacts = len(selected) * params.request.contacts_min
        return FinishResult(companies=len(selected), contacts=contacts, selection_changed=selection_changed)

    @activity.defn
    async def export_run(self, params: RunInput) -> ExportResult:
        run = await self._begin("export_run", params.request.run_id, params)
        count = len(run.complete())
        return ExportResult(
            companies_file="companies.csv",
            contacts_file="contacts.csv",
            companies=count,
            contacts=count * params.request.contacts_min,
            partial=count < params.request.target_quantity,
        )

    @activity.defn
    async def notify_requester(self, params: NotifyInput) -> bool:
        await self._begin("notify_requester", params.run_id, params)
        return True


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", ""))
