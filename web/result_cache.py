"""The result cache of all tool calls. It makes one call when several callers ask for the same thing at once."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import structlog

from store.database import Connection, Database
from store.erasure import forgotten
from store.tools import calls_in_flight
from store.tools.tool_results import ResultStatus, ToolResult, find_fresh, save_result

log = structlog.get_logger()

Call = Callable[[], Awaitable[tuple[ToolResult, str | None]]]
"""Makes the call. Returns the result and, for a page, its body."""

CLAIM_S = 15.0  # if a worker is killed, another makes the call after this time
_RENEWAL_S = CLAIM_S / 3
# Stop renewing after ten minutes, which is longer than all limits of a call together (rate limit, robots.txt, page).
_RENEWALS_MAX = int(600 / _RENEWAL_S)
# A result may have cost money, so storing it is retried while the database is down. The callers have only minutes (SITE in
# workflows/policies.py).
_RESULT_HELD_S = 60.0
_POLL_S_MIN, _POLL_S_MAX = 0.05, 0.5
_CLEANUP_S = 3.0  # for releasing claims at shutdown, even if the database is down


class ClosedError(Exception):
    """A new call was requested after ``close``."""


class ResultCache:
    """Stored results of tool calls, shared by all workers.

    Callers in one worker share a task. Across workers, one claims the call and the others poll for its result. A worker renews
    its claim, which expires if the worker is killed. Waiting holds no database connection.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tasks: dict[str, asyncio.Task[ToolResult]] = {}
        self._paid: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    async def get(
        self, tool: str, args: dict[str, Any], call: Call, ttl_s: Callable[[ToolResult], float]
    ) -> ToolResult:
        """Return a fresh stored result for these arguments, or make the call.

        An error of ``call`` is raised for every caller in this worker and is not stored. Other workers make their own call.

        Raises:
            ClosedError: a new call is needed after ``close``.
        """
        key = args_hash(tool, args)
        task = self._tasks.get(key)
        if task is None:
            if self._is_closed:
                raise ClosedError(f"{tool} is not called: the worker is stopping")
            task = asyncio.create_task(self._find_or_call(tool, key, call, ttl_s), name=tool)
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._remove(key, done))
        try:
            return await asyncio.shield(task)  # a cancelled caller must not cancel the others' call
        except asyncio.CancelledError:
            if not task.done():
                task.add_done_callback(_log_error)
            raise

    def mark_paid(self) -> None:
        """Mark the running call as one that may cost money. ``close`` then waits for its result."""
        if (task := asyncio.current_task()) is not None:
            self._paid.add(task)

    async def close(self, paid_calls_s: float = 0.0) -> None:
        """Cancel unpaid calls, and let paid ones finish within ``paid_calls_s``."""
        self._is_closed = True
        tasks = set(self._tasks.values())
        paid = tasks & self._paid
        for task in tasks - paid:
            task.cancel()
        if paid:
            _, late = await asyncio.wait(paid, timeout=paid_calls_s)
            if late:
                log.warning("paid_calls_cut_off", tools=sorted(task.get_name() for task in late))
            for task in late:
                task.cancel()
        if tasks:
            # Do not cancel again: that would interrupt the release of the claim.
            await asyncio.wait(tasks, timeout=_CLEANUP_S)

    def _remove(self, key: str, task: asyncio.Task[ToolResult]) -> None:
        self._tasks.pop(key, None)
        self._paid.discard(task)

    async def _find_or_call(self, tool: str, key: str, call: Call, ttl_s: Callable[[ToolResult], float]) -> ToolResult:
        claim_id = uuid4()
        try:
            stored = await self._find_or_claim(tool, key, claim_id)
            if stored is not None:
                return stored
            async with self._renewed(tool, key, claim_id):
                called, called_body = await call()
                log.info("tool_called", tool=tool, status=called.status, reason=called.reason)

                async def save(conn: Connection) -> ToolResult:
                    result, body = await forgotten.without_forgotten_addresses(conn, called, called_body)
                    await save_result(conn, result, key, ttl_s(result), body)
                    await calls_in_flight.release(conn, tool, key, claim_id)
                    return result

                return await self._database.write_with_retry(save, tool, _RESULT_HELD_S)
        except BaseException:  # including a cancellation while the claim is committed
            await self._release(tool, key, claim_id)
            raise

    async def _find_or_claim(self, tool: str, key: str, claim_id: UUID) -> ToolResult | None:
        """Return the stored result, or None once this worker has claimed the call."""
        poll_s = _POLL_S_MIN
        while True:
            async with self._database.transaction() as conn:
                stored = await find_fresh(conn, tool, key)
                if stored is None and await calls_in_flight.claim(conn, tool, key, claim_id, CLAIM_S):
                    stored = await find_fresh(conn, tool, key)  # another worker may have stored it meanwhile
                    if stored is None:
                        return None
                    await calls_in_flight.release(conn, tool, key, claim_id)
            if stored is not None:
                return stored
            await asyncio.sleep(poll_s)
            poll_s = min(poll_s * 2, _POLL_S_MAX)

    @contextlib.asynccontextmanager
    async def _renewed(self, tool: str, key: str, claim_id: UUID) -> AsyncIterator[None]:
        renewal = asyncio.create_task(self._renew(tool, key, claim_id))
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.wait([renewal])

    async def _renew(self, tool: str, key: str, claim_id: UUID) -> None:
        for _ in range(_RENEWALS_MAX):
            await asyncio.sleep(_RENEWAL_S)
            try:
                async with self._database.transaction() as conn:
                    await calls_in_flight.renew(conn, tool, key, claim_id, CLAIM_S)
            except psycopg.OperationalError as error:  # at worst the call is made twice
                log.warning("claim_not_renewed", tool=tool, error=type(error).__name__)

    async def _release(self, tool: str, key: str, claim_id: UUID) -> None:
        try:
            async with self._database.transaction() as conn:
                await calls_in_flight.release(conn, tool, key, claim_id)
        except psycopg.OperationalError as error:  # the claim expires by itself
            log.warning("claim_not_released", tool=tool, error=type(error).__name__, expires_in_s=CLAIM_S)


def args_hash(tool: str, args: dict[str, Any]) -> str:
    """Return the key of a call's result."""
    return hashlib.sha256(json.dumps([tool, args], sort_keys=True).encode()).hexdigest()


def new_result(
    tool: str,
    args: dict[str, Any],
    status: ResultStatus,
    reason: str | None = None,
    *,
    payload: dict[str, Any] | None = None,
    text: str = "",
) -> ToolResult:
    return ToolResult(
        result_id=f"r{uuid4().hex[:16]}",
        tool=tool,
        args=args,
        status=status,
        reason=reason,
        payload=payload or {},
        text=text,
        fetched_at=datetime.now(UTC),
    )


def _log_error(task: asyncio.Task[ToolResult]) -> None:
    """Log the error of a call whose callers were cancelled, so that it is not lost."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("call_failed_without_its_caller", tool=task.get_name(), error=type(error).__name__)
