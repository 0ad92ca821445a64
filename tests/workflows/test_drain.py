"""A stopping worker reschedules activities that it cannot finish, which costs no attempt and no pause."""

from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError

from domain.request.progress import RunStatus
from tests.workflows.conftest import Server, start_dev_environment, starting, working
from tests.workflows.fake_run import OK, FakeRun, at
from tests.workflows.live_run import request_for
from tests.workflows.world import World

DRAIN = timedelta(milliseconds=100)


async def test_a_stopping_worker_reschedules_what_it_cannot_finish() -> None:
    def prepare(stored: FakeRun) -> None:
        stored.hold("research_company", at(0, 0))
        stored.hold("qualify_company", at(0, 1))

    async with await start_dev_environment() as environment:
        world = World()
        async with starting(Server(environment, world)) as start:
            async with working(environment, cached_workflows_max=0, world=world, drain=DRAIN):
                run = await start(request_for(2), [OK, OK], prepare=prepare)
                for name, key in (("research_company", at(0, 0)), ("qualify_company", at(0, 1))):
                    await run.stored.reached(name, key)
            run.stored.release_all()
            async with working(environment, world=world):
                result = await run.result()
                events = [event async for history in run.histories() for event in history.events]
    assert (result.status, result.companies) == (RunStatus.COMPLETED, 2)
    assert len(run.stored.keys("research_company")) == 3, "the rescheduled one ran again"
    started = [event.activity_task_started_event_attributes.attempt for event in events]
    assert max(started) == 1, "no attempt was counted"
    assert not [event for event in events if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT]


async def test_another_worker_ends_a_cancelled_run() -> None:
    async with await start_dev_environment() as environment:
        world = World()
        async with starting(Server(environment, world)) as start:
            async with working(environment, cached_workflows_max=0, world=world, drain=DRAIN):
                run = await start(
                    request_for(1), [OK], prepare=lambda s: (s.hold("research_company", at(0)), s.hold("finish_run"))
                )
                await run.stored.reached("research_company", at(0))
                await run.handle.cancel()
                await run.stored.reached("finish_run")
            run.stored.release_all()
            async with working(environment, world=world):
                with pytest.raises(WorkflowFailureError):
                    await run.result()
    assert [params.status for params in run.stored.inputs("finish_run")] == [RunStatus.CANCELLED] * 2
    assert run.notifications() == ["cancelled"]
