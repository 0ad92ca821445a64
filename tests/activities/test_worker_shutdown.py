"""A stopping worker stores the search that it is in the middle of, because it may have cost money."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from domain.activity_io import RunInput, SearchTaskInput
from runtime.worker import open_activities
from settings import Settings
from store.database import Database
from store.runs import search_tasks
from tests.activities.environment import activity_environment
from tests.http_server import Reply, Request, json_reply, serving
from tests.store.rows import add_run


async def test_a_stopping_worker_stores_its_open_search(
    settings: Settings, database: Database, database_url: str
) -> None:
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def search(request: Request) -> Reply:
        is_asked.set()
        await may_answer.wait()
        return json_reply({"results": [{"url": "http://acme.example/", "title": "Acme", "content": "Homes in Austin"}]})

    async with serving(search) as server:
        searching = settings.model_copy(update={"searxng_url": server.url})
        async with open_activities(searching, database_url) as (others, agent_calls):
            activities: dict[str, Any] = {work.__name__: work for work in (*others, *agent_calls)}
            async with database.transaction() as conn:
                request = await add_run(conn, target=1)
            await activity_environment().run(activities["plan_run_search"], RunInput(request=request))
            async with database.transaction() as conn:
                [task] = await search_tasks.next_open(conn, request.run_id, -1, 1)
            discovering = asyncio.create_task(
                activity_environment().run(activities["discover"], SearchTaskInput(request=request, task=task))
            )
            await asyncio.wait_for(is_asked.wait(), 30)
            discovering.cancel()
            with suppress(asyncio.CancelledError):
                await discovering
            asyncio.get_running_loop().call_later(0.2, may_answer.set)
    async with database.transaction() as conn:
        found = await (await conn.execute("SELECT status FROM tool_results WHERE tool = 'search_web'")).fetchall()
        claims = await (await conn.execute("SELECT tool FROM tool_calls_in_flight")).fetchall()
    assert [row["status"] for row in found] == ["ok"] * len(server.requests)
    assert claims == []
