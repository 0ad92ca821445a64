"""Search tasks of a run, and the pages that each task reads. Tables ``search_tasks`` and ``search_task_pages``."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.activity_io import SearchTaskRef
from domain.request.search_plan import SearchTask, TaskKind
from store.database import Connection, fetch_column, fetch_model, fetch_models, fetch_rows, fetch_value


class SearchTaskRow(BaseModel):
    model_config = ConfigDict(frozen=True)

    task_id: UUID
    run_id: UUID
    ordinal: int
    kind: TaskKind
    query: str
    city: str | None
    state: str | None
    status: str


class TaskYield(BaseModel):
    """What a search task found.

    Attributes:
        named: companies that the agent named with proof.
        listed: companies on the directory pages that it read.
        incomplete_reads: directory pages where it named too few.
    """

    model_config = ConfigDict(frozen=True)

    named: int = 0
    listed: int = 0
    incomplete_reads: int = 0
    cost_usd: float = 0.0


class ReusableSearch(BaseModel):
    """A search of another run that this run can reuse. ``searched_at`` is when its agent was asked."""

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    searched_at: datetime
    listed: int
    incomplete_reads: int


class SourceYield(BaseModel):
    """What one kind of search found in a run.

    ``skipped`` tasks were not run, because their kind finds hardly anything new.
    """

    model_config = ConfigDict(frozen=True)

    kind: TaskKind
    planned: int
    done: int
    failed: int
    skipped: int
    named: int
    new: int
    listed: int
    incomplete_reads: int
    cost_usd: float
    seconds: float


async def insert_tasks(
    conn: Connection, run_id: UUID, tasks: Sequence[SearchTask], *, skipped: Mapping[str, datetime] | None = None
) -> int:
    """Append tasks that the run does not have yet. Returns how many.

    Args:
        skipped: tasks to store as skipped, by hash (from ``skipped_before``).
    """
    await conn.execute("SELECT 1 FROM runs WHERE run_id = %s FOR UPDATE", (run_id,))
    rows = await fetch_rows(conn, "SELECT unique_hash, ordinal FROM search_tasks WHERE run_id = %s", (run_id,))
    present = {row["unique_hash"]: row["ordinal"] for row in rows}
    first = max(present.values(), default=-1) + 1
    fresh = [task for task in tasks if task.unique_hash not in present]
    since = skipped or {}
    await conn.cursor().executemany(
        """
        INSERT INTO search_tasks (run_id, unique_hash, ordinal, kind, query, city, state, status, finished_at)
        VALUES (%(run_id)s, %(unique_hash)s, %(place)s, %(kind)s, %(query)s, %(city)s, %(state)s, %(status)s, %(since)s)
        """,
        [
            task.model_dump()
            | {
                "run_id": run_id,
                "place": place,
                "status": "skipped" if task.unique_hash in since else "open",
                "since": since.get(task.unique_hash),
            }
            for place, task in enumerate(fresh, start=first)
        ],
    )
    return len(fresh)


async def skip_open_tasks(conn: Connection, run_id: UUID, kinds: Sequence[TaskKind]) -> None:
    await conn.execute(
        """
        UPDATE search_tasks SET status = 'skipped', finished_at = now()
        WHERE run_id = %s AND status = 'open' AND kind = ANY(%s)
        """,
        (run_id, list(kinds)),
    )


async def skipped_before(conn: Connection, run_id: UUID, within_hours: float) -> dict[str, datetime]:
    """Return tasks that all recent runs with the same criteria skipped: hash, and time of the last skip.

    The cache holds what those runs found. Searching further would find hardly anything new.
    """
    rows = await fetch_rows(
        conn,
        """
        SELECT t.unique_hash, max(t.finished_at) AS since
        FROM search_tasks t JOIN runs r USING (run_id)
        WHERE r.run_id <> %(run_id)s AND r.criteria = (SELECT criteria FROM runs WHERE run_id = %(run_id)s)
          AND t.finished_at > now() - make_interval(secs => %(within_s)s)
        GROUP BY 1 HAVING bool_and(t.status = 'skipped')
        """,
        {"run_id": run_id, "within_s": within_hours * 3600},
    )
    return {row["unique_hash"]: row["since"] for row in rows}


async def skipped_kinds(conn: Connection, run_id: UUID) -> list[TaskKind]:
    query = "SELECT kind FROM search_tasks WHERE run_id = %s AND status = 'skipped' GROUP BY 1 ORDER BY 1"
    return await fetch_column(conn, query, (run_id,))


async def next_open(conn: Connection, run_id: UUID, after_ordinal: int, limit: int) -> list[SearchTaskRef]:
    """Return the next unfinished tasks of a run, in plan order."""
    query = """
        SELECT task_id, ordinal, query AS label, kind FROM search_tasks
        WHERE run_id = %s AND ordinal > %s AND status IN ('open', 'running')
        ORDER BY ordinal LIMIT %s
    """
    return await fetch_models(conn, SearchTaskRef, query, (run_id, after_ordinal, limit))


async def get_task(conn: Connection, task_id: UUID) -> SearchTaskRow:
    """Return a task. Raises LookupError if it does not exist."""
    task = await fetch_model(conn, SearchTaskRow, "SELECT * FROM search_tasks WHERE task_id = %s", (task_id,))
    if task is None:
        raise LookupError(f"no search task {task_id}")
    return task


async def start_task(conn: Connection, task_id: UUID) -> None:
    await conn.execute(
        """
        UPDATE search_tasks SET status = 'running', started_at = coalesce(started_at, now())
        WHERE task_id = %s AND status IN ('open', 'running')
        """,
        (task_id,),
    )


async def claim_page(conn: Connection, run_id: UUID, task_id: UUID, url: str) -> bool:
    """Claim a page for a task. Returns False if another task of the run has claimed it and has not failed."""
    cursor = await conn.execute(
        """
        INSERT INTO search_task_pages (run_id, url, task_id) VALUES (%(run_id)s, %(url)s, %(task_id)s)
        ON CONFLICT (run_id, url) DO UPDATE SET task_id = excluded.task_id
        WHERE search_task_pages.task_id = excluded.task_id
           OR (SELECT status FROM search_tasks t WHERE t.task_id = search_task_pages.task_id) = 'failed'
        """,
        {"run_id": run_id, "url": url, "task_id": task_id},
    )
    return cursor.rowcount == 1


async def sites_found_by_other_tasks(conn: Connection, run_id: UUID, task_id: UUID, sites: Collection[str]) -> set[str]:
    """Return those registrable domains whose companies other tasks of the run have found."""
    query = """
        SELECT substr(candidate_key, length('domain:') + 1) FROM company_candidates
        WHERE run_id = %s AND candidate_key = ANY(%s) AND search_task_id IS DISTINCT FROM %s
    """
    return set(await fetch_column(conn, query, (run_id, [f"domain:{site}" for site in sites], task_id)))


async def fail_task(conn: Connection, task_id: UUID) -> None:
    """End a task whose activity failed permanently. ``reopen`` opens it again."""
    await conn.execute("UPDATE search_tasks SET status = 'failed', finished_at = now() WHERE task_id = %s", (task_id,))


async def finish_task(conn: Connection, task_id: UUID, found: TaskYield, question_hash: str | None = None) -> int:
    """End a task. Returns how many companies it was the first to find.

    Args:
        question_hash: hash of what the agent was asked. None if the task reused an earlier result.
    """
    return int(
        await fetch_value(
            conn,
            """
            UPDATE search_tasks t
            SET status = 'done', named = %(named)s, listed = %(listed)s, incomplete_reads = %(incomplete_reads)s,
                cost_usd = %(cost_usd)s, finished_at = now(), question_hash = %(question_hash)s,
                searched_at = CASE WHEN %(question_hash)s::text IS NOT NULL THEN now() END,
                new = (SELECT count(*) FROM company_candidates c WHERE c.search_task_id = t.task_id)
            WHERE task_id = %(task_id)s
            RETURNING new
            """,
            {"task_id": task_id, "question_hash": question_hash, **found.model_dump()},
        )
    )


async def find_reusable_search(
    conn: Connection, task: SearchTaskRow, question_hash: str, within_hours: float
) -> ReusableSearch | None:
    """Return the latest search of another run that asked the same question.

    That run must have the same criteria, unchanged by decisions. Only then do this run's other searches find the companies
    that the reused search left to others.
    """
    return await fetch_model(
        conn,
        ReusableSearch,
        """
        SELECT t.task_id, t.searched_at, t.listed, t.incomplete_reads
        FROM search_tasks t JOIN runs r USING (run_id)
        WHERE t.question_hash = %(question_hash)s AND t.status = 'done' AND t.run_id <> %(run_id)s
          AND t.unique_hash = (SELECT unique_hash FROM search_tasks WHERE task_id = %(task_id)s)
          AND t.searched_at > now() - make_interval(secs => %(within_s)s)
          AND r.criteria = (SELECT criteria FROM runs WHERE run_id = %(run_id)s) AND r.criteria = r.criteria_asked
        ORDER BY t.searched_at DESC LIMIT 1
        """,
        {
            "question_hash": question_hash,
            "run_id": task.run_id,
            "task_id": task.task_id,
            "within_s": within_hours * 3600,
        },
    )


async def copy_page_claims(conn: Connection, run_id: UUID, task_id: UUID, reused: UUID) -> None:
    """Claim for a task the pages that the reused search read."""
    await conn.execute(
        """
        INSERT INTO search_task_pages (run_id, url, task_id)
        SELECT %s, url, %s FROM search_task_pages WHERE task_id = %s
        ON CONFLICT (run_id, url) DO NOTHING
        """,
        (run_id, task_id, reused),
    )


async def reopen(conn: Connection, run_id: UUID, *statuses: Literal["failed", "skipped"]) -> int:
    """Reopen failed or skipped tasks. Returns how many."""
    query = "UPDATE search_tasks SET status = 'open', finished_at = NULL WHERE run_id = %s AND status = ANY(%s)"
    return (await conn.execute(query, (run_id, list(statuses)))).rowcount


async def yield_by_kind(conn: Connection, run_id: UUID) -> list[SourceYield]:
    query = """
        SELECT kind, count(*) AS planned, count(*) FILTER (WHERE status = 'done') AS done,
               count(*) FILTER (WHERE status = 'failed') AS failed,
               count(*) FILTER (WHERE status = 'skipped') AS skipped, sum(named) AS named, sum(new) AS new,
               sum(listed) AS listed, sum(incomplete_reads) AS incomplete_reads, sum(cost_usd)::float8 AS cost_usd,
               coalesce(sum(extract(epoch FROM finished_at - started_at)), 0)::float8 AS seconds
        FROM search_tasks WHERE run_id = %s GROUP BY kind ORDER BY min(ordinal)
    """
    return await fetch_models(conn, SourceYield, query, (run_id,))
