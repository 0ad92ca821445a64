"""One call of a tool for all processes on the database that ask for the same at the same time.

A result is looked for in the store; if there is none, one worker claims the call and makes it, the others wait for its
result to be stored. Nobody holds a database connection while waiting for the network or for another worker. A claim is
a row that its worker renews; when the worker is killed, it ends by time and another makes the call.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import structlog

from store.database import Connection, Database
from store.erasure import forgotten
from store.tools import calls_in_flight
from store.tools.tool_results import ToolResult, find_fresh, save_result

log = structlog.get_logger()

Call = Callable[[], Awaitable[tuple[ToolResult, str | None]]]
"""Makes the call: the result, and for a page its body."""

CLAIM_S = 15.0  # a killed worker's call is made by another within this
_RENEWAL_S = CLAIM_S / 3
# A call that lasts longer than any limit of ours allows (pace, robots.txt and page together) keeps nobody waiting.
_RENEWALS_MAX = int(600 / _RENEWAL_S)
# A search or a tool of others may have cost money: its result is held for a database that is away, and not much longer, for those who
# wait for it have other things to read and only minutes for all of it (SITE in workflows/policies.py).
_RESULT_HELD_S = 60.0
_FIRST_LOOK_S, _LAST_LOOK_S = 0.05, 0.5  # how often one who waits looks for the result: soon, then twice a second


class ResultCache:
    """Makes the calls of one worker, and shares them with the others. Within the worker, see ``Deduplicator``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def result(
        self, tool: str, args: dict[str, Any], call: Call, ttl_s: Callable[[ToolResult], float]
    ) -> ToolResult:
        """The fresh stored result for these arguments, or that of one new call.

        An error of ``call``, or a cancellation before it has returned, is no result: nothing is stored, and a worker elsewhere
        that waits makes the call itself.
        """
        key, claim_id = args_hash(tool, args), uuid4()
        may_hold_claim = True  # from before it is asked for: a cancellation may come as it is committed
        try:
            result = await self._stored_or_claimed(tool, key, claim_id)
            if result is None:
                async with self._renewed(tool, key, claim_id):
                    called, called_body = await call()
                    log.info("tool_called", tool=tool, status=called.status, reason=called.reason)

                    async def save(conn: Connection) -> ToolResult:
                        result, body = await forgotten.without_addresses(conn, called, called_body)
                        await save_result(conn, result, key, ttl_s(result), body)
                        await calls_in_flight.release(conn, tool, key, claim_id)
                        return result

                    result = await self._database.store_paid(save, tool, _RESULT_HELD_S)
            may_hold_claim = False
        finally:
            if may_hold_claim:
                await self._release(tool, key, claim_id)
        return result

    async def _stored_or_claimed(self, tool: str, key: str, claim_id: UUID) -> ToolResult | None:
        """The fresh stored result, waited for while another makes the call; None: the call is this worker's to make."""
        look_s = _FIRST_LOOK_S
        while True:
            async with self._database.transaction() as conn:
                stored = await find_fresh(conn, tool, key)
                if stored is None and await calls_in_flight.claim(conn, tool, key, claim_id, CLAIM_S):
                    # Another may have stored its result and given its claim back since the first look.
                    stored = await find_fresh(conn, tool, key)
                    if stored is None:
                        return None
                    await calls_in_flight.release(conn, tool, key, claim_id)
            if stored is not None:
                return stored
            await asyncio.sleep(look_s)
            look_s = min(look_s * 2, _LAST_LOOK_S)

    @contextlib.asynccontextmanager
    async def _renewed(self, tool: str, key: str, claim_id: UUID) -> AsyncIterator[None]:
        over = asyncio.Event()
        renewal = asyncio.create_task(self._renew(tool, key, claim_id, over))
        try:
            yield
        finally:
            over.set()
            await renewal

    async def _release(self, tool: str, key: str, claim_id: UUID) -> None:
        try:
            async with self._database.transaction() as conn:
                await calls_in_flight.release(conn, tool, key, claim_id)
        except psycopg.OperationalError as error:  # the error of the call matters more
            log.warning("claim_not_released", tool=tool, error=type(error).__name__, ends_in_s=CLAIM_S)

    async def _renew(self, tool: str, key: str, claim_id: UUID, over: asyncio.Event) -> None:
        for _ in range(_RENEWALS_MAX):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RENEWAL_S):
                    await over.wait()
            if over.is_set():
                return
            try:
                async with self._database.transaction() as conn:
                    await calls_in_flight.renew(conn, tool, key, claim_id, CLAIM_S)
            except psycopg.OperationalError as error:  # without a renewal the call may be made twice, no worse
                log.warning("claim_not_renewed", tool=tool, error=type(error).__name__)


def args_hash(tool: str, args: dict[str, Any]) -> str:
    """The key of a call's result."""
    return hashlib.sha256(json.dumps([tool, args], sort_keys=True).encode()).hexdigest()
