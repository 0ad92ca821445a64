"""Search tasks of a run. Table ``search_tasks``."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.search_plan import SearchTask
from domain.steps import TaskRef
from store.database import Connection


class SearchTaskRow(BaseModel):
    """A search task as stored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_id: UUID
    run_id: UUID
    ordinal: int
    kind: str
    query: str
    city: str | None
    state: str | None
    status: str


async def insert_tasks(conn: Connection, run_id: UUID, tasks: tuple[SearchTask, ...]) -> int:
    """Add planned tasks behind those that a run already has; a task it already has is left alone.

    Returns:
        How many were new.
    """
    await conn.execute("SELECT 1 FROM runs WHERE run_id = %s FOR UPDATE", (run_id,))
    cursor = await conn.execute(
        "SELECT unique_hash, ordinal FROM search_tasks WHERE run_id = %s ORDER BY ordinal", (run_id,)
    )
    present = {row["unique_hash"]: row["ordinal"] for row in await cursor.fetchall()}
    ordinal = max(present.values(), default=-1) + 1
    fresh = [task for task in tasks if task.unique_hash not in present]
    async with conn.cursor() as many:
        await many.executemany(
            """
            INSERT INTO search_tasks (run_id, unique_hash, ordinal, kind, query, city, state)
            VALUES (%s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (run_id, task.unique_hash, ordinal + index, task.kind, task.query, task.city, task.state)
                for index, task in enumerate(fresh)
            ],
        )
    return len(fresh)


async def next_open(conn: Connection, run_id: UUID, after_ordinal: int, limit: int) -> list[TaskRef]:
    """The next tasks of a run in plan order."""
    cursor = await conn.execute(
        """
        SELECT task_id, ordinal, query AS label FROM search_tasks
        WHERE run_id = %s AND ordinal > %s AND status IN ('open', 'running')
        ORDER BY ordinal LIMIT %s
        """,
        (run_id, after_ordinal, limit),
    )
    return [TaskRef.model_validate(row) for row in await cursor.fetchall()]


async def get_task(conn: Connection, task_id: UUID) -> SearchTaskRow:
    """A task by its id."""
    cursor = await conn.execute("SELECT * FROM search_tasks WHERE task_id = %s", (task_id,))
    return SearchTaskRow.model_validate(await cursor.fetchone())


async def start_task(conn: Connection, task_id: UUID) -> None:
    """Mark a task as being worked on."""
    await conn.execute(
        """
        UPDATE search_tasks SET status = 'running', started_at = coalesce(started_at, now())
        WHERE task_id = %s AND status IN ('open', 'running')
        """,
        (task_id,),
    )


async def finish_task(conn: Connection, task_id: UUID, status: str, named: int, cost_usd: float) -> int:
    """End a task with what it yielded; ``new`` is counted from the companies that it was first to find.

    Returns:
        The number of new companies.
    """
    cursor = await conn.execute(
        """
        UPDATE search_tasks t
        SET status = %(status)s, named = %(named)s, cost_usd = %(cost)s, finished_at = now(),
            new = (SELECT count(*) FROM company_candidates c WHERE c.search_task_id = t.task_id)
        WHERE task_id = %(task_id)s
        RETURNING new
        """,
        {"task_id": task_id, "status": status, "named": named, "cost": cost_usd},
    )
    row = await cursor.fetchone()
    return int(row["new"]) if row else 0


async def reopen_failed(conn: Connection, run_id: UUID) -> int:
    """Open the tasks again that failed; returns how many."""
    cursor = await conn.execute(
        "UPDATE search_tasks SET status = 'open' WHERE run_id = %s AND status = 'failed'", (run_id,)
    )
    return cursor.rowcount
