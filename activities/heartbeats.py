"""Heartbeats for long activities."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio import activity

from activities.worker_shutdown import RescheduleError

HEARTBEAT_INTERVAL = timedelta(seconds=5)
"""A third of the heartbeat time-out in ``workflows/policies.py``."""


@contextmanager
def heartbeating() -> Iterator[Callable[[int], None]]:
    """Heartbeat every five seconds while the block runs, so that a dead worker is noticed soon.

    Yields:
        A function to call before each turn with the turn's number. It raises ``RescheduleError`` if the worker is stopping.
        Before a later turn it also does so once half of the attempt's time is gone, because that turn might time out.
        Finished turns are stored, so nothing is paid twice.
    """
    turn, first = 0, None
    deadline_s = time.monotonic() + _attempt_limit_s() / 2

    def on_turn(number: int) -> None:
        nonlocal turn, first
        if activity.is_worker_shutdown():
            raise RescheduleError("the worker stops")
        first = number if first is None else first
        if number > first and time.monotonic() > deadline_s:
            raise RescheduleError("half of the attempt's time is gone")
        turn = number
        activity.heartbeat(turn)  # shown in the Web UI

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL.total_seconds())
            activity.heartbeat(turn)

    task = asyncio.create_task(beat())
    try:
        yield on_turn
    finally:
        task.cancel()


def _attempt_limit_s() -> float:
    limit = activity.info().start_to_close_timeout if activity.in_activity() else None
    return limit.total_seconds() if limit is not None else float("inf")
