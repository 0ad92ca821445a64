"""Database access: a pool for workers, single connections for commands, and helpers to read rows."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain, repeat
from typing import Any, TypeVar

import structlog
from psycopg import AsyncConnection, OperationalError
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.rows import DictRow, class_row, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic import BaseModel

log = structlog.get_logger()

SCHEMA = "pm_pipeline"
_CONNECT_TIMEOUT_S = 10
_WRITE_AFTER_CANCELLATION_S = 5.0  # part of STOP_MARGIN_S (settings.py)
_RETRY_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # the last one repeats

Connection = AsyncConnection[DictRow]
Params = Sequence[Any] | Mapping[str, Any]
ResultT = TypeVar("ResultT")
ModelT = TypeVar("ModelT", bound=BaseModel)


class DatabaseUnreachableError(Exception):
    """Postgres does not answer. The message says what to do."""


class DatabaseVersionError(Exception):
    """Another version of this product made the database. The message says what to do."""


class Database:
    def __init__(self, url: str, pool_max: int = 10) -> None:
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=pool_max,
            open=False,
            timeout=_CONNECT_TIMEOUT_S,
            # Otherwise a connection that Postgres has closed would fail an activity's attempt.
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
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Yield a connection for one transaction. Commits at the end, or rolls back on an error."""
        async with self._pool.connection() as connection:
            yield connection

    async def write_with_retry(
        self, write: Callable[[Connection], Awaitable[ResultT]], what: str, retry_for_s: float
    ) -> ResultT:
        """Store something that was paid for. Retries while the database is down, and for five seconds after a cancellation.

        Args:
            write: idempotent, because a failed attempt may have been committed.
            what: name of the data, for the log.
            retry_for_s: seconds in which attempts may start. The last one may take ten seconds more.

        Raises:
            psycopg.Error: the database is still down, or rejects the statement.
        """
        writing = asyncio.create_task(self._write(write, what, retry_for_s))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing], timeout=_WRITE_AFTER_CANCELLATION_S)
            writing.cancel()
            if not writing.done() or writing.exception() is not None:
                log.error("paid_answer_dropped", what=what)  # noqa: TRY400  # the cancellation is not its cause
            raise

    async def _write(self, write: Callable[[Connection], Awaitable[ResultT]], what: str, retry_for_s: float) -> ResultT:
        ends_s = time.monotonic() + retry_for_s
        for pause_s in chain(_RETRY_PAUSES_S, repeat(_RETRY_PAUSES_S[-1])):
            try:
                async with self.transaction() as connection:
                    return await write(connection)
            except (OperationalError, ReadOnlySqlTransaction) as error:
                if time.monotonic() + pause_s > ends_s:
                    raise
                log.warning("not_stored_yet", what=what, error=type(error).__name__)
                await asyncio.sleep(pause_s)
        raise AssertionError("unreachable: the pauses repeat")


@asynccontextmanager
async def one_connection(url: str) -> AsyncIterator[Connection]:
    """Yield a single connection for a short command. Commits at the end.

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
    """Say what to do when Postgres does not answer. The address is left out, because it may contain a password."""
    return (
        "the database does not answer. Start the local stack with `python starter.py local`, "
        "or set DATABASE_URL to a running PostgreSQL"
    )


async def fetch_rows(conn: Connection, query: str, params: Params = ()) -> list[DictRow]:
    return await (await conn.execute(query, params)).fetchall()


async def fetch_row(conn: Connection, query: str, params: Params = ()) -> DictRow | None:
    return await (await conn.execute(query, params)).fetchone()


async def fetch_value(conn: Connection, query: str, params: Params = ()) -> Any:
    """Return the first column of the first row, or None if there is no row."""
    row = await fetch_row(conn, query, params)
    return next(iter(row.values())) if row else None


async def fetch_column(conn: Connection, query: str, params: Params = ()) -> list[Any]:
    return [next(iter(row.values())) for row in await fetch_rows(conn, query, params)]


async def fetch_models(conn: Connection, model: type[ModelT], query: str, params: Params = ()) -> list[ModelT]:
    cursor = conn.cursor(row_factory=class_row(model))
    return await (await cursor.execute(query, params)).fetchall()


async def fetch_model(conn: Connection, model: type[ModelT], query: str, params: Params = ()) -> ModelT | None:
    cursor = conn.cursor(row_factory=class_row(model))
    return await (await cursor.execute(query, params)).fetchone()


def as_json(value: BaseModel | Sequence[BaseModel] | None) -> Jsonb | None:
    """Wrap models for a JSON column."""
    if value is None:
        return None
    if isinstance(value, BaseModel):
        return Jsonb(value.model_dump(mode="json"))
    return Jsonb([item.model_dump(mode="json") for item in value])
