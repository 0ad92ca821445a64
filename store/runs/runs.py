"""Runs: the request, the current state and the result. Table ``runs``."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.activity_io import Spend
from domain.request.criteria import Criteria
from domain.request.decision import DecisionRequest
from domain.request.progress import RunStatus, Stage
from domain.request.run_request import Limits, OnDecision, RunRequest
from store.database import Connection, as_json, fetch_model, fetch_models, fetch_row


class RunRow(BaseModel):
    """A stored run. Decisions change ``criteria``, while ``criteria_asked`` stays as requested."""

    model_config = ConfigDict(frozen=True)

    run_id: UUID
    workflow_id: str
    criteria: Criteria
    criteria_asked: Criteria
    target_quantity: int
    contacts_min: int
    contacts_max: int
    limits: Limits
    on_decision: OnDecision
    notify_email: str | None
    stage: Stage
    status: RunStatus
    decision: DecisionRequest | None
    selected: tuple[UUID, ...] | None
    notes: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @property
    def short_id(self) -> str:
        return str(self.run_id)[:8]


class ListedRun(RunRow):
    """A run in a list. ``complete`` counts its complete companies and may exceed the target."""

    complete: int

    @property
    def companies_ready(self) -> int:
        """Companies that the run has delivered, or would deliver now."""
        return len(self.selected) if self.selected is not None else min(self.complete, self.target_quantity)


class RunResult(NamedTuple):
    """How a run ended."""

    status: RunStatus
    selected: list[UUID]


async def insert_run(conn: Connection, request: RunRequest, workflow_id: str, notify_email: str | None) -> bool:
    """Store a run. Returns False if the run id exists already."""
    cursor = await conn.execute(
        """
        INSERT INTO runs (run_id, workflow_id, criteria, criteria_asked, target_quantity, contacts_min, contacts_max,
                          limits, on_decision, notify_email)
        VALUES (%(run_id)s, %(workflow_id)s, %(criteria)s, %(criteria)s, %(target_quantity)s, %(contacts_min)s,
                %(contacts_max)s, %(limits)s, %(on_decision)s, %(notify_email)s)
        ON CONFLICT (run_id) DO NOTHING
        """,
        request.model_dump()
        | {"workflow_id": workflow_id, "notify_email": notify_email}
        | {"criteria": as_json(request.criteria), "limits": as_json(request.limits)},
    )
    return cursor.rowcount == 1


async def delete_unstarted_run(conn: Connection, run_id: UUID) -> None:
    await conn.execute("DELETE FROM runs WHERE run_id = %s", (run_id,))


async def find_run(conn: Connection, run_id: UUID) -> RunRow | None:
    return await fetch_model(conn, RunRow, "SELECT * FROM runs WHERE run_id = %s", (run_id,))


async def get_run(conn: Connection, run_id: UUID) -> RunRow:
    """Return a run. Raises LookupError if it does not exist."""
    run = await find_run(conn, run_id)
    if run is None:
        raise LookupError(f"no run {run_id}")
    return run


async def find_runs_by_prefix(conn: Connection, prefix: str) -> list[RunRow]:
    """Return up to 10 runs whose id starts with a prefix (lower-case hex and dashes), newest first."""
    query = "SELECT * FROM runs WHERE starts_with(run_id::text, %s) ORDER BY created_at DESC, run_id LIMIT 10"
    return await fetch_models(conn, RunRow, query, (prefix,))


async def list_runs(conn: Connection, limit: int) -> list[ListedRun]:
    query = """
        SELECT r.*, (SELECT count(*) FROM company_candidates c WHERE c.run_id = r.run_id AND c.status = 'complete') AS complete
        FROM (SELECT * FROM runs ORDER BY created_at DESC, run_id LIMIT %s) AS r
        ORDER BY r.created_at DESC, r.run_id
    """
    return await fetch_models(conn, ListedRun, query, (limit,))


async def set_state(conn: Connection, run_id: UUID, stage: Stage, status: RunStatus, note: str) -> None:
    """Set a run's stage and status, unless it is completed or cancelled.

    Clears the question if the run no longer waits for a decision. An empty note keeps the stored one.
    """
    await conn.execute(
        """
        UPDATE runs
        SET stage = %(stage)s, status = %(status)s, updated_at = now(),
            notes = CASE WHEN %(note)s = '' THEN notes ELSE %(note)s END,
            decision = CASE WHEN %(status)s = 'needs_user_decision' THEN decision END
        WHERE run_id = %(run_id)s AND status NOT IN ('completed', 'cancelled')
        """,
        {"run_id": run_id, "stage": stage, "status": status, "note": note},
    )


async def set_question(conn: Connection, run_id: UUID, question: DecisionRequest) -> None:
    await conn.execute(
        """
        UPDATE runs SET status = 'needs_user_decision', decision = %s, updated_at = now()
        WHERE run_id = %s AND status IN ('active', 'needs_user_decision')
        """,
        (as_json(question), run_id),
    )


async def set_problem(conn: Connection, run_id: UUID, problem: str) -> None:
    """Add to the open question why the run refused the last answer."""
    await conn.execute(
        """
        UPDATE runs SET decision = jsonb_set(decision, '{problem}', to_jsonb(%s::text)), updated_at = now()
        WHERE run_id = %s AND decision IS NOT NULL
        """,
        (problem, run_id),
    )


async def amend(conn: Connection, request: RunRequest) -> None:
    """Store the criteria and limits that a decision changed, and make the run active again."""
    await conn.execute(
        """
        UPDATE runs SET criteria = %s, limits = %s, status = 'active', decision = NULL, updated_at = now()
        WHERE run_id = %s AND status IN ('active', 'needs_user_decision')
        """,
        (as_json(request.criteria), as_json(request.limits), request.run_id),
    )


async def lock_result(conn: Connection, run_id: UUID) -> RunResult | None:
    """Lock a run until the transaction ends, and return how it ended, or None if it is open.

    Meanwhile, no other transaction can end the run or erase one of its companies.
    """
    query = "SELECT status, selected, finished_at FROM runs WHERE run_id = %s FOR NO KEY UPDATE"
    row = await fetch_row(conn, query, (run_id,))
    if row is None or row["finished_at"] is None:
        return None
    return RunResult(RunStatus(row["status"]), list(row["selected"] or ()))


async def finish(conn: Connection, run_id: UUID, status: RunStatus, selected: list[UUID], note: str) -> None:
    """End a run and store its selected companies, in order. Idempotent."""
    await conn.execute(
        """
        UPDATE runs
        SET status = %(status)s, selected = %(selected)s, decision = NULL, updated_at = now(),
            stage = CASE WHEN %(status)s = 'completed' THEN 'done' ELSE stage END,
            notes = CASE WHEN %(note)s = '' THEN notes ELSE %(note)s END,
            finished_at = coalesce(finished_at, now())
        WHERE run_id = %(run_id)s
        """,
        {"run_id": run_id, "status": status, "selected": selected, "note": note},
    )


async def spend(conn: Connection, run_id: UUID) -> dict[str, Any]:
    """Return what a run has bought: ``cost_usd``, ``model_calls``, ``input_tokens``, ``output_tokens``.

    Open calls are not included. A lost call counts at its reserved cost.
    """
    query = """
        SELECT coalesce(sum(cost_usd), 0)::float8 AS cost_usd, count(*) AS model_calls,
               coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens
        FROM agent_turns WHERE run_id = %s AND status <> 'reserved'
    """
    return await fetch_row(conn, query, (run_id,)) or {}


async def spend_on(conn: Connection, run_id: UUID, subject: str, role: str) -> Spend:
    """Return the cost and number of answered calls of one role for one subject.

    A subject is a search task or company, with its round.
    """
    query = """
        SELECT coalesce(sum(cost_usd), 0)::float8 AS cost_usd, count(*) AS model_calls
        FROM agent_turns WHERE run_id = %s AND subject = %s AND role = %s AND status = 'stored'
    """
    return await fetch_model(conn, Spend, query, (run_id, subject, role)) or Spend()
