"""Search tasks of a run. Table ``search_tasks``."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.activity_io import SearchTaskRef
from domain.request.search_plan import SearchTask, TaskKind
from store.database import Connection


class SearchTaskRow(BaseModel):
    """A search task as stored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_id: UUID
    run_id: UUID
    ordinal: int
    kind: TaskKind
    query: str
    city: str | None
    state: str | None
    status: str


async def insert_tasks(
    conn: Connection, run_id: UUID, tasks: tuple[SearchTask, ...], *, skipped: Mapping[str, datetime] | None = None
) -> int:
    """Add planned tasks behind those that a run already has; a task it already has is left alone.

    Args:
        skipped: tasks, by their hash, that are not to be run (``skipped_before``).

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
    since = skipped or {}
    async with conn.cursor() as many:
        await many.executemany(
            """
            INSERT INTO search_tasks (run_id, unique_hash, ordinal, kind, query, city, state, status, finished_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    *(run_id, task.unique_hash, ordinal + index, task.kind, task.query, task.city, task.state),
                    "skipped" if task.unique_hash in since else "open",
                    since.get(task.unique_hash),
                )
                for index, task in enumerate(fresh)
            ],
        )
    return len(fresh)


async def skip_open_tasks(conn: Connection, run_id: UUID, kinds: Sequence[TaskKind]) -> None:
    """Leave the open tasks of kinds that have dried up."""
    await conn.execute(
        """
        UPDATE search_tasks SET status = 'skipped', finished_at = now()
        WHERE run_id = %s AND status = 'open' AND kind = ANY(%s)
        """,
        (run_id, list(kinds)),
    )


async def skipped_before(conn: Connection, run_id: UUID, within_hours: float) -> dict[str, datetime]:
    """Tasks that other runs with the same criteria have given up lately, and none of them has run.

    What those runs did is answered from the cache for as long; a run that went further than they did would look where
    they found that hardly anything is left.

    Returns:
        The time at which each was given up, by the task's hash.
    """
    cursor = await conn.execute(
        """
        SELECT t.unique_hash, max(t.finished_at) AS since
        FROM search_tasks t JOIN runs r USING (run_id)
        WHERE r.run_id <> %(run_id)s AND r.criteria = (SELECT criteria FROM runs WHERE run_id = %(run_id)s)
          AND t.finished_at > now() - make_interval(secs => %(within_s)s)
        GROUP BY 1 HAVING bool_and(t.status = 'skipped')
        """,
        {"run_id": run_id, "within_s": within_hours * 3600},
    )
    return {row["unique_hash"]: row["since"] for row in await cursor.fetchall()}


async def skipped_kinds(conn: Connection, run_id: UUID) -> list[TaskKind]:
    """Kinds of which a run has given up tasks."""
    cursor = await conn.execute(
        "SELECT kind FROM search_tasks WHERE run_id = %s AND status = 'skipped' GROUP BY 1 ORDER BY 1", (run_id,)
    )
    return [row["kind"] for row in await cursor.fetchall()]


async def next_open(conn: Connection, run_id: UUID, after_ordinal: int, limit: int) -> list[SearchTaskRef]:
    """The next tasks of a run in plan order."""
    cursor = await conn.execute(
        """
        SELECT task_id, ordinal, query AS label, kind FROM search_tasks
        WHERE run_id = %s AND ordinal > %s AND status IN ('open', 'running')
        ORDER BY ordinal LIMIT %s
        """,
        (run_id, after_ordinal, limit),
    )
    return [SearchTaskRef.model_validate(row) for row in await cursor.fetchall()]


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


class TaskYield(BaseModel):
    """What a search task came to.

    Attributes:
        named: companies named with proof.
        listed: companies standing on the list pages that it read; ``incomplete_reads`` pages of which the agent named too few.
    """

    model_config = ConfigDict(frozen=True)

    named: int = 0
    listed: int = 0
    incomplete_reads: int = 0
    cost_usd: float = 0.0


class ReusableSearch(BaseModel):
    """A search from which another run takes over what it found; ``searched_at``: when its agent was asked."""

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    searched_at: datetime
    listed: int
    incomplete_reads: int


async def claim_page(conn: Connection, run_id: UUID, task_id: UUID, url: str) -> bool:
    """Whether a page is this task's to read: the first task of a run to ask for it has it, for good unless it fails."""
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
    """Of these registrable domains, those of companies that other tasks of the run have found."""
    cursor = await conn.execute(
        """
        SELECT substr(candidate_key, 8) AS site FROM company_candidates
        WHERE run_id = %s AND candidate_key = ANY(%s) AND search_task_id IS DISTINCT FROM %s
        """,
        (run_id, [f"domain:{site}" for site in sites], task_id),
    )
    return {row["site"] for row in await cursor.fetchall()}


async def fail_task(conn: Connection, task_id: UUID) -> None:
    """End a task whose step failed for good; ``retry`` opens it again."""
    await conn.execute("UPDATE search_tasks SET status = 'failed', finished_at = now() WHERE task_id = %s", (task_id,))


async def finish_task(conn: Connection, task_id: UUID, found: TaskYield, question_hash: str | None = None) -> int:
    """End a task with what it yielded; ``new`` is counted from the companies that it was first to find.

    Args:
        question_hash: what was asked (``AgentRunner.question_hash``), where it was asked now and not taken over.

    Returns:
        The number of new companies.
    """
    cursor = await conn.execute(
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
    row = await cursor.fetchone()
    return int(row["new"]) if row else 0


async def find_reusable_search(
    conn: Connection, task: SearchTaskRow, question_hash: str, within_hours: float
) -> ReusableSearch | None:
    """The latest search of another run with the same criteria that was asked the same.

    Of the same criteria, never amended, since what it left out as known was found by other searches of the same plan.
    """
    cursor = await conn.execute(
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
    row = await cursor.fetchone()
    return ReusableSearch.model_validate(row) if row else None


async def copy_page_claims(conn: Connection, run_id: UUID, task_id: UUID, before: UUID) -> None:
    """Let a task hold the pages that the search had read from which it takes over."""
    await conn.execute(
        """
        INSERT INTO search_task_pages (run_id, url, task_id)
        SELECT %s, url, %s FROM search_task_pages WHERE task_id = %s
        ON CONFLICT (run_id, url) DO NOTHING
        """,
        (run_id, task_id, before),
    )


async def reopen(conn: Connection, run_id: UUID, *statuses: Literal["failed", "skipped"]) -> int:
    """Open tasks again that were left; returns how many."""
    cursor = await conn.execute(
        """
        UPDATE search_tasks SET status = 'open', finished_at = NULL WHERE run_id = %s AND status = ANY(%s)
        """,
        (run_id, list(statuses)),
    )
    return cursor.rowcount


class SourceYield(BaseModel):
    """What one kind of search came to in a run. ``named`` of those ``new``; ``cost_usd`` of the model; seconds of work.

    Of the ``planned`` tasks, those ``skipped`` were left since their kind had found hardly anything new, in this run or in
    one of the same criteria shortly before.
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


async def yield_by_kind(conn: Connection, run_id: UUID) -> list[SourceYield]:
    """The yield of each kind of search of a run, in the order of the plan."""
    cursor = await conn.execute(
        """
        SELECT kind, count(*) AS planned, count(*) FILTER (WHERE status = 'done') AS done,
               count(*) FILTER (WHERE status = 'failed') AS failed,
               count(*) FILTER (WHERE status = 'skipped') AS skipped, sum(named) AS named, sum(new) AS new,
               sum(listed) AS listed, sum(incomplete_reads) AS incomplete_reads, sum(cost_usd)::float8 AS cost_usd,
               coalesce(sum(extract(epoch FROM finished_at - started_at)), 0)::float8 AS seconds
        FROM search_tasks WHERE run_id = %s GROUP BY kind ORDER BY min(ordinal)
        """,
        (run_id,),
    )
    return [SourceYield.model_validate(row) for row in await cursor.fetchall()]
