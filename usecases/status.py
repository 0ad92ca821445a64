"""The state of a run: from its workflow, or from the database if no worker answers."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.export import selected_companies
from agents.cost import Tokens, price_usd
from domain.company.status import ReasonCode
from domain.delivery.completeness import Completeness, ModelUsage, count_columns, unknown_by_criterion
from domain.request.decision import DecisionReason, DecisionRequest
from domain.request.funnel import FunnelStep, funnel_steps
from domain.request.progress import ENDED, RunProgress, RunStatus, Stage
from domain.request.run_request import OnDecision
from runtime.services import Services
from runtime.worker_deployment import has_workers
from settings import Settings
from store.companies import companies
from store.database import Connection
from store.delivery import completeness, export_rows
from store.delivery.completeness import UnpricedCalls
from store.runs import audit, runs, search_tasks
from store.runs.audit import RefusedAnswer
from store.runs.runs import RunRow
from store.runs.search_tasks import SourceYield
from workflows.names import QUERY_PROGRESS

_REFUSED_MAX = 5  # audit_events has the rest
_QUERY_TIMEOUT = timedelta(seconds=5)


class RunView(BaseModel):
    """A run as it is shown, and as ``--json`` prints it.

    Attributes:
        live: counts of open work. None if no worker answers or the run has ended.
        waiting_for_worker: the run has work to do, but no worker is running.
        stranded: why no worker will ever continue the run, and what to do.
        refused: the latest answers that the run refused, newest first.
        completeness: the report on the delivery, if requested.
    """

    model_config = ConfigDict(frozen=True)

    run: RunRow
    companies_ready: int
    contacts_ready: int
    funnel: dict[str, int]
    sources: list[SourceYield]
    model_usage: ModelUsage
    refused: tuple[RefusedAnswer, ...] = ()
    live: RunProgress | None = None
    waiting_for_worker: bool = False
    stranded: str | None = None
    completeness: Completeness | None = None

    @property
    def why_nothing_moves(self) -> str | None:
        """Why nobody works on an open run, and what to do."""
        if self.stranded is not None:
            return self.stranded
        return "waiting for a worker: start one with `python worker.py`" if self.waiting_for_worker else None

    @property
    def cost_usd(self) -> float | None:
        """The cost of the model calls. None if the price of any call is unknown."""
        return None if self.model_usage.unpriced_calls else self.model_usage.cost_usd

    @property
    def surplus(self) -> int:
        """Complete companies that are not delivered, because they finished after the target was reached."""
        return max(0, self.funnel.get(ReasonCode.COMPLETE, 0) - self.companies_ready)

    @property
    def model_calls(self) -> int:
        return self.model_usage.model_calls

    @property
    def funnel_steps(self) -> tuple[FunnelStep, ...]:
        return funnel_steps(sum(source.named for source in self.sources), self.funnel)

    @property
    def has_ended(self) -> bool:
        return self.run.status in ENDED

    @property
    def waits_for_person(self) -> bool:
        """Whether a question is open that ``--on-decision`` does not answer."""
        if self.run.status is not RunStatus.NEEDS_USER_DECISION or self.decision is None:
            return False
        outage = self.decision.reason is DecisionReason.DEPENDENCY_DOWN  # always needs a person
        return outage or self.run.on_decision not in {OnDecision.ACCEPT_PARTIAL, OnDecision.CANCEL}

    @property
    def decision(self) -> DecisionRequest | None:
        """The open question."""
        return self.run.decision

    @property
    def stage(self) -> Stage:
        return self.live.stage if self.live and not self.has_ended else self.run.stage

    def document(self) -> dict[str, Any]:
        run = self.run
        return {
            "run_id": str(run.run_id),
            "workflow_id": run.workflow_id,
            "stage": self.stage.value,
            "status": run.status.value,
            "criteria": run.criteria.described(),
            "target_quantity": run.target_quantity,
            "companies": progress_counts(self.companies_ready, run.target_quantity),
            "contacts": {
                **progress_counts(self.contacts_ready, run.target_quantity * run.contacts_min),
                "min_per_company": run.contacts_min,
                "max_per_company": run.contacts_max,
            },
            "surplus": self.surplus,
            "funnel": self.funnel,
            "funnel_steps": [step.model_dump() for step in self.funnel_steps],
            "sources": [source.model_dump() for source in self.sources],
            "exhausted_kinds": list(self.live.exhausted_kinds) if self.live else [],
            "cost_usd": None if self.cost_usd is None else round(self.cost_usd, 6),
            "model_calls": self.model_calls,
            "unpriced_calls": self.model_usage.unpriced_calls,
            "completeness": self.completeness.document() if self.completeness else None,
            "decision": run.decision.model_dump(mode="json") if run.decision else None,
            "refused_answers": [answer.model_dump(mode="json") for answer in self.refused],
            "waiting_for_worker": self.waiting_for_worker,
            "stranded": self.stranded,
            "created_at": run.created_at.isoformat(),
            "finished_at": run.finished_at.isoformat() if run.finished_at else None,
            "notes": run.notes,
        }


def progress_counts(ready: int, target: int) -> dict[str, int]:
    """Return the ready and missing numbers, and the progress in whole percent."""
    return {"ready": ready, "gap": max(0, target - ready), "progress_pct": min(100, ready * 100 // max(1, target))}


async def view_run(services: Services, run: RunRow, *, report: bool = False) -> RunView:
    """Return the current state of a run. ``report`` adds the completeness report, which reads every delivered row."""
    live, waiting_for_worker, stranded = None, False, None
    if run.status not in ENDED:
        live = await _query_progress(services.client, run)
        stranded = await _why_stranded(services.client, run) if live is None else None
        waiting_for_worker = stranded is None and (live is None or not await has_workers(services.client))
    view = await stored_view(services.conn, run, services.settings, report=report)
    if view.has_ended:  # in the meantime
        waiting_for_worker, stranded = False, None
    return view.model_copy(update={"live": live, "waiting_for_worker": waiting_for_worker, "stranded": stranded})


async def stored_view(conn: Connection, run: RunRow, settings: Settings, *, report: bool = False) -> RunView:
    """Return the stored state of a run.

    Args:
        conn: in autocommit.
        settings: prices for calls that were made before their price was known.
    """
    run = await runs.get_run(conn, run.run_id)
    ids = await selected_companies(conn, run)
    model_usage = await _model_usage(conn, run.run_id, settings)
    funnel = await companies.funnel(conn, run.run_id)
    return RunView(
        run=run,
        companies_ready=len(ids),
        contacts_ready=await export_rows.count_selected_contacts(conn, ids),
        funnel=funnel,
        sources=await search_tasks.yield_by_kind(conn, run.run_id),
        model_usage=model_usage,
        refused=tuple(await audit.refused_answers(conn, run.run_id, _REFUSED_MAX)),
        completeness=await _completeness(conn, run, ids, funnel, model_usage) if report else None,
    )


async def _model_usage(conn: Connection, run_id: UUID, settings: Settings) -> ModelUsage:
    """Return what the stored turns cost. A call without a price gets its model's current price, if known."""
    spend = await runs.spend(conn, run_id)
    unpriced_calls, cost_usd = 0, float(spend["cost_usd"])
    for unpriced in await completeness.unpriced_calls(conn, run_id):
        price = _current_price(settings, unpriced)
        unpriced_calls += unpriced.calls if price is None else 0
        cost_usd += price or 0.0
    return ModelUsage.model_validate({**spend, "cost_usd": cost_usd, "unpriced_calls": unpriced_calls})


def _current_price(settings: Settings, unpriced: UnpricedCalls) -> float | None:
    if settings.openai_model != unpriced.model:
        return None
    return price_usd(settings, Tokens(input=unpriced.input_tokens, output=unpriced.output_tokens))


async def _completeness(
    conn: Connection, run: RunRow, company_ids: list[UUID], funnel: dict[str, int], model_usage: ModelUsage
) -> Completeness:
    async with conn.transaction():
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        company_rows, contact_rows = await completeness.delivered_rows(conn, company_ids)
        dropped = await completeness.dropped_claims(conn, run.run_id)
    return Completeness(
        companies=len(company_rows),
        contacts=len(contact_rows),
        columns=count_columns(company_rows, contact_rows),
        unknown=unknown_by_criterion(funnel),
        dropped=dropped,
        model_usage=model_usage,
    )


async def _why_stranded(client: Client, run: RunRow) -> str | None:
    """Return why no worker will continue an open run and what to do, or None."""
    try:
        description = await client.get_workflow_handle(run.workflow_id).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            return None
        return (
            f"Temporal does not know this run: start it again with `python starter.py start --run-id {run.run_id}` and "
            "the same criteria and quantity. Stored results are reused and not bought again"
        )
    if description.status in {None, WorkflowExecutionStatus.RUNNING}:
        return None
    return (
        f"its workflow has ended as {str(description.status.name).lower()} and will not continue: export its results "
        f"(`python starter.py export {run.short_id}`) and start a new run, which reuses them"
    )


async def _query_progress(client: Client, run: RunRow) -> RunProgress | None:
    """Ask the workflow for its progress. None if no worker runs, or the workflow is just starting."""
    handle = client.get_workflow_handle(run.workflow_id)
    try:
        progress: RunProgress = await handle.query(QUERY_PROGRESS, result_type=RunProgress, rpc_timeout=_QUERY_TIMEOUT)
    except RPCError:
        return None
    return progress
