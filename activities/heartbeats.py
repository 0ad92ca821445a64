"""Heartbeats for activities that wait long for others."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from temporalio import activity

from activities.handing_back import hand_back_if_draining

_INTERVAL_S = 5.0  # a third of the heartbeat time-out in workflows/policies.py


@contextmanager
def heartbeating() -> Iterator[Callable[[int], None]]:
    """Heartbeat every five seconds while the block runs, so that a dead worker is noticed long before its time-out.

    Yields:
        A function to tell the number of the turn that begins; it is the heartbeat's detail. On a worker that is stopping it
        raises ``HandedBackError`` instead: between two turns nothing that is paid for is lost.
    """
    turn = 0

    def on_turn(number: int) -> None:
        nonlocal turn
        hand_back_if_draining()
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
