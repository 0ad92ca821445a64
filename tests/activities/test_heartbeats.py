"""How a heartbeating activity uses the time of its attempt."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.heartbeats import heartbeating
from activities.worker_shutdown import RescheduleError


def _attempt(of_s: float) -> ActivityEnvironment:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, start_to_close_timeout=timedelta(seconds=of_s))
    return environment


async def test_after_half_of_its_time_an_attempt_is_rescheduled() -> None:
    begun: list[int] = []

    async def three_turns() -> None:
        with heartbeating() as on_turn:
            for turn in range(3):
                on_turn(turn)
                begun.append(turn)
                time.sleep(0.06)  # noqa: ASYNC251 - one turn's queue

    with pytest.raises(RescheduleError):
        await _attempt(0.1).run(three_turns)
    assert begun == [0], "each attempt takes at least one turn"
    begun.clear()
    await _attempt(60).run(three_turns)
    assert begun == [0, 1, 2]
