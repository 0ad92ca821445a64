"""Heartbeats for activities that wait long for others."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from temporalio import activity

from activities.worker_shutdown import RescheduleError, reschedule_if_shutting_down

log = structlog.get_logger()

HEARTBEAT_INTERVAL = timedelta(seconds=5)
"""A third of the heartbeat time-out in ``workflows/policies.py``."""


@contextmanager
def heartbeating() -> Iterator[Callable[[int], None]]:
    """Heartbeat every five seconds while the block runs, so that a dead worker is noticed long before its time-out.

    Yields:
        A function to tell the number of the turn that begins; it is the heartbeat's detail. On a worker that is stopping it
        raises ``RescheduleError`` instead: between two turns nothing that is paid for is lost. So it does when half of the attempt's
        time is gone: a turn may queue for long, and one that runs out of time would count as a failure.
    """
    turn, first = 0, None
    half_s, began_s = _time_of_attempt_s() / 2, time.monotonic()

    def on_turn(number: int) -> None:
        nonlocal turn, first
        reschedule_if_shutting_down()
        first = number if first is None else first
        if number > first and time.monotonic() - began_s > half_s:
            log.info("activity_rescheduled", activity=activity.info().activity_type, why="half of its time is gone")
            raise RescheduleError("half of the attempt's time is gone")
        turn = number
        activity.heartbeat(turn)

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL.total_seconds())
            activity.heartbeat(turn)

    task = asyncio.create_task(beat())
    try:
        yield on_turn
    finally:
        task.cancel()


def _time_of_attempt_s() -> float:
    # Called directly, nobody ends it.
    limit = activity.info().start_to_close_timeout if activity.in_activity() else None
    return limit.total_seconds() if limit is not None else float("inf")
