"""Heartbeats for activities that wait long for others."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from temporalio import activity

_INTERVAL_S = 5.0  # a third of the heartbeat time-out in workflows/policies.py


@contextmanager
def heartbeating() -> Iterator[Callable[[int], None]]:
    """Heartbeat every five seconds while the block runs, so that a dead worker is noticed long before its time-out.

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
            await asyncio.sleep(_INTERVAL_S)
            activity.heartbeat(turn)

    task = asyncio.create_task(beat())
    try:
        yield on_turn
    finally:
        task.cancel()
