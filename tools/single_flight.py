"""One task for all who ask for the same thing at the same time, within this process."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Work in progress by key."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[T]] = {}

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of ``work``, begun now unless it is already under way; its error reaches all who wait."""
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.create_task(work())
            self._tasks[key] = task
            task.add_done_callback(lambda _: self._tasks.pop(key, None))
        # A caller that is cancelled must not take the work away from others that wait for it.
        return await asyncio.shield(task)

    async def close(self, within_s: float) -> None:
        """At the end of the process, while everything that the work needs is still open: let work whose callers have been
        cancelled come to its end, and cancel what has not done so within this many seconds."""
        if not self._tasks:
            return
        done, late = await asyncio.wait(self._tasks.values(), timeout=within_s)
        for task in late:
            task.cancel()
        outcomes = await asyncio.gather(*done, *late, return_exceptions=True)
        errors = [type(outcome).__name__ for outcome in outcomes if isinstance(outcome, Exception)]
        log.info("calls_under_way_ended", finished=len(done), cancelled=len(late), errors=errors)
