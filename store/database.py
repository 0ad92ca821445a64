"""The connection to Postgres: a pool for workers, and errors that a person can act on."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import chain, repeat
from typing import Any, TypeVar

import structlog
from psycopg import AsyncConnection, OperationalError
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

log = structlog.get_logger()

SCHEMA = "pm_pipeline"
_CONNECT_TIMEOUT_S = 10
_HELD_AFTER_CANCELLATION_S = 5.0  # a share of STOP_MARGIN_S (settings.py) when the worker stops
_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # and so on with the last

Connection = AsyncConnection[DictRow]
ResultT = TypeVar("ResultT")


class DatabaseUnreachableError(Exception):
    """Postgres does not answer; the message says where it was looked for and how to start it."""


class Database:
    """A pool of connections whose search path is the schema ``pm_pipeline``."""

    def __init__(self, url: str, pool_max: int = 10) -> None:
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=pool_max,
            open=False,
            timeout=_CONNECT_TIMEOUT_S,
            # After Postgres has restarted, or ended a connection, none of those in the pool costs a step an attempt.
            check=AsyncConnectionPool.check_connection,
            kwargs={"row_factory": dict_row, "options": f"-c search_path={SCHEMA}"},
        )

    async def open(self) -> None:
        """Open the pool and wait for the first connection.

        Raises:
            DatabaseUnreachableError: no connection within ten seconds.
        """
        try:
            await self._pool.open(wait=True, timeout=_CONNECT_TIMEOUT_S)
        except (PoolTimeout, OperationalError) as error:
            await self._pool.close()
            raise DatabaseUnreachableError(unreachable_message()) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection for one transaction: committed at the end, rolled back on an error."""
        async with self._pool.connection() as connection:
            yield connection

    async def store_paid(self, write: Callable[[Connection], Awaitable[ResultT]], what: str, held_s: float) -> ResultT:
        """Run a transaction that stores what was paid for. While the database is away it is held, and tried again and again.
        A caller that is cancelled meanwhile gives it five seconds more.

        Args:
            write: does the writing; may be called again after a failure, also one of which nobody knows whether it was committed.
            what: what is stored, for the log.
            held_s: for so long at least; a try may take ten seconds more.

        Raises:
            psycopg.Error: the database is still away after that time, or refuses the statement.
        """
        storing = asyncio.create_task(self._stored(write, what, held_s))
        try:
            return await asyncio.shield(storing)
        except asyncio.CancelledError:
            await _last_chance(storing, what)
            raise

    async def _stored(self, write: Callable[[Connection], Awaitable[ResultT]], what: str, held_s: float) -> ResultT:
        ends_s = time.monotonic() + held_s
        for pause_s in chain(_PAUSES_S, repeat(_PAUSES_S[-1])):
            try:
                async with self.transaction() as connection:
                    return await write(connection)
            except (OperationalError, ReadOnlySqlTransaction) as error:
                if time.monotonic() + pause_s > ends_s:
                    raise
                log.warning("not_stored_yet", what=what, error=type(error).__name__)
                await asyncio.sleep(pause_s)
        raise AssertionError("the pauses have no end")


async def _last_chance(storing: asyncio.Task[Any], what: str) -> None:
    await asyncio.wait([storing], timeout=_HELD_AFTER_CANCELLATION_S)
    storing.cancel()
    if not storing.done() or storing.exception() is not None:
        log.error("paid_answer_dropped", what=what)


@asynccontextmanager
async def one_connection(url: str) -> AsyncIterator[Connection]:
    """A single connection for a short command, committed at the end.

    Raises:
        DatabaseUnreachableError: Postgres does not answer.
    """
    options: dict[str, Any] = {"options": f"-c search_path={SCHEMA}", "connect_timeout": _CONNECT_TIMEOUT_S}
    try:
        connection = await AsyncConnection.connect(url, row_factory=dict_row, **options)
    except OperationalError as error:
        raise DatabaseUnreachableError(unreachable_message()) from error
    async with connection:
        yield connection


def unreachable_message() -> str:
    """What to do when Postgres does not answer. Names no address: it may hold a password."""
    return (
        "the database does not answer (DATABASE_URL, or the local stack's): "
        "start the local stack with `python starter.py local`, or set DATABASE_URL to a running PostgreSQL"
    )
