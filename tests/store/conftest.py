"""What store tests share."""

from collections.abc import AsyncIterator

import pytest

from store.database import Connection, one_connection


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Connection]:
    """A command's connection, in autocommit."""
    async with one_connection(database_url) as conn:
        await conn.set_autocommit(True)
        yield conn
