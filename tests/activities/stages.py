"""A run on the demo's web whose database can be restored to any stage; and ways to cut an activity off."""

from __future__ import annotations

import asyncio
import json
import random
import re
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from domain.activity_io import CompanyInput, CompanyRef, RunInput, SearchTaskRef
from domain.request.run_request import RunRequest
from local.demo.truth import gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from runtime.worker import open_activities
from settings import Settings
from store.companies import companies
from store.database import SCHEMA, Connection, one_connection
from store.runs import search_tasks
from tests.activities.environment import activity_environment
from tests.store.rows import add_run, candidate

Rows = dict[str, bytes]

# Worth nothing after a crash (unlogged tables): who is asking right now, and when a site may be asked again.
_PASSING = ("tool_calls_in_flight", "rate_limits")
# Counted by the database itself: they order what is written, and say nothing.
_COUNTERS = ("seq", "event_id")
_NEW_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b(?:r|(?:msg|fc|call)_)[0-9a-f]{16,48}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00(?::00)?)?|_\d{8}_\d{6}(?=\.csv)")


@dataclass
class Stages:
    """The run, its database at each stage, and the activities by name."""

    request: RunRequest
    activities: dict[str, Callable[[Any], Awaitable[Any]]]
    conn: psycopg.Connection[dict[str, Any]]
    saved: dict[str, Rows] = field(default_factory=dict)
    company: CompanyRef | None = None
    task: SearchTaskRef | None = None

    @property
    def company_input(self) -> CompanyInput:
        assert self.company is not None
        return CompanyInput(request=self.request, company=self.company)

    async def run(self, name: str, params: Any, *, attempt: int = 1, cut_off: CutOff | None = None) -> Any:
        environment = activity_environment(attempt)
        work = self.activities[name]

        async def watched(params: Any) -> Any:
            return await (work(params) if cut_off is None else cut_off.driving(work(params)))

        return await environment.run(watched, params)

    def restore(self, stage: str) -> None:
        with self.conn.transaction(), self.conn.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")  # rows come back in any order
            deletions = (sql.SQL("DELETE FROM {}").format(sql.Identifier(table)) for table in self.saved[stage])
            cursor.execute(sql.SQL(";").join(deletions))  # of few rows; TRUNCATE takes twenty times as long
            for table, rows in self.saved[stage].items():
                if rows:
                    with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
                        copy.write(rows)

    def save(self, stage: str) -> None:
        self.saved[stage] = {}
        with self.conn.cursor() as cursor:
            for table in self._tables():
                with cursor.copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
                    self.saved[stage][table] = b"".join(bytes(part) for part in copy)

    def state(self, stage: str) -> list[str]:
        """All rows, without times, counters and ids that are newer than the stage."""
        known = set(_NEW_ID.findall(b"".join(self.saved[stage].values()).decode()))
        found: list[str] = []
        for table in self.saved[stage]:
            if table not in _PASSING:
                rows = self.conn.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))).fetchall()
                found += (f"{table} {_plain(row, known)}" for row in rows if not _is_beside(row))
        return sorted(found)

    def turns_lost(self) -> int:
        """Model calls whose answers were never stored, so that they were made again."""
        row = self.conn.execute("SELECT count(*) AS lost FROM agent_turns WHERE status = 'lost'").fetchone()
        return int(row["lost"]) if row else 0

    def disconnect(self) -> None:
        self.conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def _tables(self) -> list[str]:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename !~ 'yoyo' ORDER BY 1"
        return [row["tablename"] for row in self.conn.execute(query, (SCHEMA,)).fetchall()]


def _is_beside(row: dict[str, Any]) -> bool:
    """Rows that may be there or not: a model call that was open at the cut, and what the web client also has in memory."""
    return (row.get("status") == "lost" and "input_hash" in row) or row.get("tool") == "robots_txt"


def _plain(row: dict[str, Any], known: set[str]) -> str:
    said = {name: value for name, value in row.items() if name not in _COUNTERS}
    text = json.dumps(
        said, default=lambda value: value.hex() if isinstance(value, bytes) else str(value), sort_keys=True
    )
    return _NEW_ID.sub(lambda match: match[0] if match[0] in known else "<new>", _TIME.sub("<time>", text))


class CutOff:
    """Follows an activity through the points where it awaits, and disturbs it at one of them.

    Attributes:
        waits: how many points it has reached.
    """

    def __init__(self, at: int | None = None, how: Callable[[], object] = lambda: None) -> None:
        self._at, self._how = at, how
        self.waits = 0

    @types.coroutine
    def driving(self, work: Awaitable[Any]) -> Generator[Any, Any, Any]:
        waiting = work.__await__()
        answer: Any = None
        error: BaseException | None = None
        while True:
            try:
                pending = waiting.send(answer) if error is None else waiting.throw(error)
            except StopIteration as end:
                return end.value
            self.waits += 1
            if self.waits == self._at:
                self._how()
            answer, error = None, None
            try:
                answer = yield pending
            except BaseException as raised:  # noqa: BLE001  # passed on to the activity
                error = raised


def cancel_this_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


def a_point(name: str, waits: int) -> int:
    """One of the points where an activity awaits, the same in every test run."""
    return random.Random(name).randint(1, max(1, waits))  # noqa: S311


@asynccontextmanager
async def staged_run(settings: Settings, url: str) -> AsyncIterator[Stages]:
    """Take one company of the demo through a run, and save the database before each activity."""
    async with AsyncExitStack() as stack:
        steps, agent_calls = await stack.enter_async_context(open_activities(settings, url))
        admin = psycopg.connect(url, autocommit=True, row_factory=dict_row, options=f"-c search_path={SCHEMA}")
        stack.enter_context(admin)
        conn = await stack.enter_async_context(one_connection(url))
        await conn.set_autocommit(True)
        activities = {work.__name__: work for work in (*steps, *agent_calls)}
        stages = Stages(await add_run(conn, target=1), activities, admin)
        await _company(stages, conn)
        stages.save("found")
        for stage, name in (
            ("qualified", "qualify_company"),
            ("researched", "research_company"),
            ("with_people", "find_contacts"),
            ("complete", "select_contacts"),
        ):
            outcome = await stages.run(name, stages.company_input)
            assert outcome.interruption is None
            stages.save(stage)
        await conn.close()
        yield stages


async def _company(stages: Stages, conn: Connection) -> None:
    """A company that fits, and a search task for directory pages of a city."""
    gold = next(
        each
        for each in gold_table(generate_world(DEFAULT_SEED)).companies
        if each.website and each.state == "TX" and each.deliverable and each.pms == "Buildium"
    )
    await stages.run("plan_run_search", RunInput(request=stages.request))
    tasks = await search_tasks.next_open(conn, stages.request.run_id, -1, 1000)
    stages.task = [task for task in tasks if task.kind == "directory_pages"][-1]  # of the smallest city
    async with conn.transaction():
        named = candidate(gold.name, url=gold.website)
        await companies.insert_candidate(conn, stages.request.run_id, None, 10**9, named)
    [stages.company], _ = await companies.list_open_after(conn, stages.request.run_id, 0, 9)
