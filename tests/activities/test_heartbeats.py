"""What a beating step does with the time of its attempt."""

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


async def test_an_attempt_that_has_used_half_of_its_time_is_handed_back_before_its_next_turn() -> None:
    begun: list[int] = []

    async def step() -> None:
        with heartbeating() as on_turn:
            for turn in range(3):
                on_turn(turn)
                begun.append(turn)
                time.sleep(0.06)  # noqa: ASYNC251 - one turn's queue

    with pytest.raises(RescheduleError):
        await _attempt(0.1).run(step)
    assert begun == [0], "each attempt takes one turn at least, so that it ends"
    begun.clear()
    await _attempt(60).run(step)
    assert begun == [0, 1, 2]
