"""One task for all who ask for the same thing at the same time, within this process."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Generic, TypeVar

import structlog

log = structlog.get_logger()

_GIVING_UP_S = 3.0  # to give back claims and turns; with the database away each would wait for it in vain

T = TypeVar("T")


class ClosedError(Exception):
    """New work was asked for after ``close``: the process ends, and leaves it to others."""


class Deduplicator(Generic[T]):
    """Work in progress by key."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[T]] = {}
        self._paid: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of ``work``, begun now unless it is already under way; its error reaches all who wait.

        Raises:
            ClosedError: it is not under way, and nothing begins any more.
        """
        task = self._tasks.get(key)
        if task is None:
            if self._is_closed:
                raise ClosedError(f"{key} is not begun: the process ends")
            task = asyncio.create_task(work())
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        try:
            # A caller that is cancelled must not take the work away from others that wait for it.
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                task.add_done_callback(lambda done: _tell_of_error(key, done))
            raise

    def mark_paid(self) -> None:
        """Within ``work``, as soon as something has been asked for that may cost money: ``close`` waits for its end."""
        task = asyncio.current_task()
        if task is not None:
            self._paid.add(task)

    async def close(self, within_s: float = 0.0) -> None:
        """At the end of the process, while all that the work needs is still open. Callers have been cancelled by then. Work that
        was paid for may come to its end within this many seconds; all other work is cancelled at once, and nothing begins."""
        self._is_closed = True
        tasks = dict(self._tasks)
        for task in tasks.values():
            if task not in self._paid:
                task.cancel()
        paid = {key: task for key, task in tasks.items() if task in self._paid}
        await _ended_within(paid.values(), within_s)
        late = {key: task for key, task in paid.items() if not task.done()}
        if late:
            log.warning("paid_calls_cut_off", calls=sorted(late))
        for task in late.values():
            task.cancel()
        # Each is cancelled once: a second time would meet it in the middle of giving back what it holds.
        await _ended_within(tasks.values(), _GIVING_UP_S)

    def _ended(self, key: str, task: asyncio.Task[T]) -> None:
        self._tasks.pop(key, None)
        self._paid.discard(task)


async def _ended_within(tasks: Collection[asyncio.Task[Any]], seconds: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)


def _tell_of_error(key: str, task: asyncio.Task[Any]) -> None:
    """Of work that went on without (one of) its callers: nobody may be left who hears of it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("call_failed_without_its_caller", call=key, error=type(error).__name__)
