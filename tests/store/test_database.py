"""The pool: a connection that Postgres has ended is replaced, not handed out."""

from __future__ import annotations

import asyncio

from store.database import Database, one_connection

_CONNECTIONS = 4


async def test_closed_connections_cost_no_attempt(database: Database, database_url: str) -> None:
    all_open = asyncio.Barrier(_CONNECTIONS)

    async def hold_one() -> None:
        async with database.transaction():
            await all_open.wait()

    await asyncio.gather(*(hold_one() for _ in range(_CONNECTIONS)))
    async with one_connection(database_url) as admin:
        ended = await admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert len(await ended.fetchall()) >= _CONNECTIONS

    for _ in range(2 * _CONNECTIONS):
        async with database.transaction() as conn:
            await conn.execute("SELECT 1")
