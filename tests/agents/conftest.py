"""A run, and a scripted model that its agents call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from uuid import UUID

import pytest

from settings import Settings
from store.database import Database
from tests.agents.scripted_model import Model, scripted
from tests.store.rows import add_run
from web.gateway import ToolGateway

Scripted = Callable[..., AbstractAsyncContextManager[Model]]


@pytest.fixture
async def run_id(database: Database) -> UUID:
    async with database.transaction() as conn:
        return (await add_run(conn)).run_id


@pytest.fixture
def model(database: Database, gateway: ToolGateway, settings: Settings) -> Scripted:
    return partial(scripted, database, gateway, settings)


async def turn_statuses(database: Database, run_id: UUID) -> list[str]:
    async with database.transaction() as conn:
        cursor = await conn.execute("SELECT status FROM agent_turns WHERE run_id = %s ORDER BY turn", (run_id,))
        return [row["status"] for row in await cursor.fetchall()]
