"""How often the model is asked holds over all workers, and a pause that it asks for is kept by all of them (LESSONS F37)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from temporalio.exceptions import ApplicationError

from settings import Settings
from store.database import Database
from tests.agents.scripted_model import EMPTY_RESEARCH, fails, says, scripted
from tests.store.rows import add_run
from web.gateway import ToolGateway


@pytest.fixture
async def run_id(database: Database) -> UUID:
    async with database.transaction() as conn:
        return (await add_run(conn)).run_id


async def test_a_second_workers_call_queues_and_sets_no_money_aside_meanwhile(
    database: Database, gateway: ToolGateway, settings: Settings, run_id: UUID
) -> None:
    slow = settings.model_copy(update={"model_requests_per_minute": 0.01})
    async with scripted(database, gateway, slow, says(EMPTY_RESEARCH), says(EMPTY_RESEARCH)) as server:
        await server.run(run_id, subject="company 1")
        with pytest.raises(ApplicationError, match="MODEL_REQUESTS_PER_MINUTE") as caught:
            await server.run(run_id, subject="company 2", runner=server.new_worker())
        assert server.bought == 1
    # A call every 6,000 s: too long to stand in the queue, so Temporal tries again as late as it may.
    assert (caught.value.type, caught.value.next_retry_delay) == ("ModelRateLimited", timedelta(minutes=5))
    async with database.transaction() as conn:
        cursor = await conn.execute("SELECT subject, status FROM agent_turns")
        assert [tuple(row.values()) for row in await cursor.fetchall()] == [("company 1", "stored")]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_pause_that_the_model_asks_for_is_kept_by_other_workers_too(
    database: Database, gateway: ToolGateway, settings: Settings, run_id: UUID, status: int
) -> None:
    async with scripted(database, gateway, settings, fails(status, retry_after="100"), says(EMPTY_RESEARCH)) as server:
        with pytest.raises(ApplicationError):
            await server.run(run_id)
        async with database.transaction() as conn:
            cursor = await conn.execute(
                "SELECT extract(epoch FROM paused_until - clock_timestamp())::float8 AS left_s FROM rate_limits WHERE name = %s",
                ("model:scripted",),
            )
            row = await cursor.fetchone()
            assert row is not None
            assert 0 < row["left_s"] <= 100
            await conn.execute("UPDATE rate_limits SET paused_until = paused_until + interval '1 hour'")
        with pytest.raises(ApplicationError) as caught:
            await server.run(run_id, runner=server.new_worker())
        assert caught.value.type == "ModelRateLimited"
        assert server.bought == 1


async def test_without_a_limit_and_a_pause_nobody_waits(
    database: Database, gateway: ToolGateway, settings: Settings, run_id: UUID
) -> None:
    async with scripted(database, gateway, settings, *[says(EMPTY_RESEARCH)] * 3) as server:
        for number in range(3):
            assert (await server.run(run_id, subject=str(number))).stop == "answered"
