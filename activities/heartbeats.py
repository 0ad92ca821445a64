"""Heartbeats for activities that wait long for others."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio import activity


@contextmanager
def heartbeating(every: timedelta) -> Iterator[Callable[[int], None]]:
    """Heartbeat at an interval while the block runs, so that a dead worker is noticed long before its time-out.

    Yields:
        A function to tell the number of the turn that has begun; it is the heartbeat's detail.
    """
    turn = 0

    def on_turn(number: int) -> None:
        nonlocal turn
        turn = number
        activity.heartbeat(turn)

    async def beat() -> None:
        while True:
            await asyncio.sleep(every.total_seconds())
            activity.heartbeat(turn)

    task = asyncio.create_task(beat())
    try:
        yield on_turn
    finally:
        task.cancel()
