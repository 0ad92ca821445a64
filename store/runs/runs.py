"""Runs: what was asked, where it stands, how it ended. Table ``runs``."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from domain.activity_io import Spend
from domain.request.criteria import Criteria
from domain.request.decision import DecisionRequest
from domain.request.progress import RunStatus, Stage
from domain.request.run_request import Limits, OnDecision, RunRequest
from store.database import Connection


class RunRow(BaseModel):
    """A run as stored. ``criteria`` are in force now, ``criteria_asked`` as requested."""

    model_config = ConfigDict(frozen=True, extra="ignore")

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
        """The first 8 characters of the run id, as commands show and take it."""
        return str(self.run_id)[:8]


class ListedRun(RunRow):
    """A run in a list. ``complete`` counts its complete companies now, which may be more than its target."""

    complete: int

    @property
    def companies_ready(self) -> int:
        """Companies that it has delivered, or would deliver if it ended now."""
        return len(self.selected) if self.selected is not None else min(self.complete, self.target_quantity)


async def insert_run(conn: Connection, request: RunRequest, workflow_id: str, notify_email: str | None) -> bool:
    """Store a new run. Returns False, and changes nothing, when the run id is taken."""
    cursor = await conn.execute(
        """
        INSERT INTO runs (run_id, workflow_id, criteria, criteria_asked, target_quantity, contacts_min, contacts_max,
                          limits, on_decision, notify_email)
        VALUES (%(run_id)s, %(workflow_id)s, %(criteria)s, %(criteria)s, %(target)s, %(min)s, %(max)s,
                %(limits)s, %(on_decision)s, %(email)s)
        ON CONFLICT (run_id) DO NOTHING
        """,
        {
            "run_id": request.run_id,
            "workflow_id": workflow_id,
            "criteria": _json(request.criteria),
            "target": request.target_quantity,
            "min": request.contacts_min,
            "max": request.contacts_max,
            "limits": _json(request.limits),
            "on_decision": request.on_decision,
            "email": notify_email,
        },
    )
    return cursor.rowcount == 1


async def delete_unstarted_run(conn: Connection, run_id: UUID) -> None:
    """Take back a run whose workflow could not be started."""
    await conn.execute("DELETE FROM runs WHERE run_id = %s", (run_id,))


async def find_run(conn: Connection, run_id: UUID) -> RunRow | None:
    """A run by its id."""
    cursor = await conn.execute("SELECT * FROM runs WHERE run_id = %s", (run_id,))
    row = await cursor.fetchone()
    return RunRow.model_validate(row) if row else None


async def find_runs_by_prefix(conn: Connection, prefix: str) -> list[RunRow]:
    """Runs whose id starts with a prefix (lower-case hex and dashes), newest first."""
    cursor = await conn.execute(
        "SELECT * FROM runs WHERE starts_with(run_id::text, %s) ORDER BY created_at DESC, run_id LIMIT 10", (prefix,)
    )
    return [RunRow.model_validate(row) for row in await cursor.fetchall()]


async def list_runs(conn: Connection, limit: int) -> list[ListedRun]:
    """The newest runs, each with how far it is; one query, whose counts an index holds."""
    cursor = await conn.execute(
        """
        SELECT r.*, (SELECT count(*) FROM company_candidates c WHERE c.run_id = r.run_id AND c.status = 'complete') AS complete
        FROM (SELECT * FROM runs ORDER BY created_at DESC, run_id LIMIT %s) AS r
        ORDER BY r.created_at DESC, r.run_id
        """,
        (limit,),
    )
    return [ListedRun.model_validate(row) for row in await cursor.fetchall()]


async def set_state(conn: Connection, run_id: UUID, stage: Stage, status: RunStatus, note: str) -> None:
    """Write where a run stands; an open question is cleared unless the run waits for it. A finished run stays so."""
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


async def get_run(conn: Connection, run_id: UUID) -> RunRow:
    """A run that must be there.

    Raises:
        LookupError: there is no such run.
    """
    run = await find_run(conn, run_id)
    if run is None:
        raise LookupError(f"no run {run_id}")
    return run


async def set_question(conn: Connection, run_id: UUID, question: DecisionRequest) -> None:
    """Store the question that a run waits for."""
    await conn.execute(
        """
        UPDATE runs SET status = 'needs_user_decision', decision = %s, updated_at = now()
        WHERE run_id = %s AND status IN ('active', 'needs_user_decision')
        """,
        (_json(question), run_id),
    )


async def set_problem(conn: Connection, run_id: UUID, problem: str) -> None:
    """Note at the open question why the last answer was refused."""
    await conn.execute(
        """
        UPDATE runs SET decision = jsonb_set(decision, '{problem}', to_jsonb(%s::text)), updated_at = now()
        WHERE run_id = %s AND decision IS NOT NULL
        """,
        (problem, run_id),
    )


async def amend(conn: Connection, request: RunRequest) -> None:
    """Write criteria and limits as a decision has changed them; the run is active again."""
    await conn.execute(
        """
        UPDATE runs SET criteria = %s, limits = %s, status = 'active', decision = NULL, updated_at = now()
        WHERE run_id = %s AND status IN ('active', 'needs_user_decision')
        """,
        (_json(request.criteria), _json(request.limits), request.run_id),
    )


class RunResult(NamedTuple):
    """How a run has ended."""

    status: RunStatus
    selected: list[UUID]


async def lock_result(conn: Connection, run_id: UUID) -> RunResult | None:
    """How a run ended, or None if it has not. Until the end of the transaction nobody ends it, or erases a company of it."""
    cursor = await conn.execute(
        "SELECT status, selected, finished_at FROM runs WHERE run_id = %s FOR NO KEY UPDATE", (run_id,)
    )
    row = await cursor.fetchone()
    if row is None or row["finished_at"] is None:
        return None
    return RunResult(RunStatus(row["status"]), list(row["selected"] or ()))


async def finish(conn: Connection, run_id: UUID, status: RunStatus, selected: list[UUID], note: str) -> None:
    """End a run with its selected companies, in order. Written again with the same values, it stays as it is."""
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


def _json(model: BaseModel) -> Jsonb:
    return Jsonb(model.model_dump(mode="json"))


async def spend(conn: Connection, run_id: UUID) -> dict[str, Any]:
    """What a run has bought: ``cost_usd``, ``model_calls``, ``input_tokens``, ``output_tokens``. Calls under way are left out;
    those of which no answer came are in it with the most that they can have cost (``store/runs/agent_turns.py``)."""
    cursor = await conn.execute(
        """
        SELECT coalesce(sum(cost_usd), 0)::float8 AS cost_usd, count(*) AS model_calls,
               coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens
        FROM agent_turns WHERE run_id = %s AND status <> 'reserved'
        """,
        (run_id,),
    )
    row = await cursor.fetchone()
    return dict(row) if row else {}


async def spend_on(conn: Connection, run_id: UUID, subject: str, role: str) -> Spend:
    """What a run has bought of one role for one subject (a search task or company, and the round)."""
    cursor = await conn.execute(
        """
        SELECT coalesce(sum(cost_usd), 0)::float8 AS cost_usd, count(*) AS model_calls
        FROM agent_turns WHERE run_id = %s AND subject = %s AND role = %s AND status = 'stored'
        """,
        (run_id, subject, role),
    )
    return Spend.model_validate(await cursor.fetchone())
