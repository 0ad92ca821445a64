"""Stubs match what a worker registers, and a real run schedules each on its queue, with time-outs and retries."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio import activity
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes

from domain.failures import MODEL_BAD_REQUEST, MODEL_UNREACHABLE
from domain.request.run_request import Windows
from runtime.worker import open_activities
from settings import Settings
from tests.workflows.conftest import StartRun
from tests.workflows.fake_run import OK, FakeRun, at
from tests.workflows.live_run import request_for
from workflows import activity_stubs
from workflows.names import AGENT_TASK_QUEUE, TASK_QUEUE

Scheduled = dict[str, ActivityTaskScheduledEventAttributes]
AGENT_CALLS = ("discover", "research_company", "find_contacts")


def definitions(functions: list[Callable[..., Any]]) -> dict[str, tuple[list[Any], Any]]:
    """Types of parameters and result by name."""
    found = [activity._Definition.must_from_callable(function) for function in functions]
    return {str(d.name): (list(d.arg_types or []), d.ret_type) for d in found}


@pytest.fixture
async def registered(
    plain_environment: None, database_url: str
) -> tuple[dict[str, tuple[list[Any], Any]], dict[str, tuple[list[Any], Any]]]:
    """What a worker registers, on each of its two queues."""
    settings = Settings(_env_file=None, openai_api_key=SecretStr("none"))
    async with open_activities(settings, database_url) as (steps, agent_calls):
        return definitions(steps), definitions(agent_calls)


async def scheduled_by_a_run(start: StartRun) -> Scheduled:
    """Each activity as a run with failures, an outage and a decision schedules it."""

    def prepare(stored: FakeRun) -> None:
        stored.fail("research_company", at(0), MODEL_BAD_REQUEST)
        stored.fail("discover", 1, MODEL_BAD_REQUEST)
        stored.silence("qualify_company", at(0, 1), MODEL_UNREACHABLE, checks=1)

    windows = Windows(discovery=1, companies=4, outage_recheck_s=0.1)
    run = await start(request_for(3, windows=windows), [OK, OK], [], prepare=prepare)
    await run.question(2)
    await run.signal("nonsense")
    await run.until(lambda p: p.decision is not None and p.decision.problem is not None)
    await run.decide(2, "accept_partial")
    await run.result()
    events = [event async for history in run.histories() for event in history.events]
    found = [event.activity_task_scheduled_event_attributes for event in events]
    return {attributes.activity_type.name: attributes for attributes in found if attributes.activity_type.name}


async def test_every_stub_matches_a_registered_activity(
    registered: tuple[dict[str, tuple[list[Any], Any]], dict[str, tuple[list[Any], Any]]],
) -> None:
    stubs = [stub for stub in vars(activity_stubs).values() if isinstance(stub, activity_stubs.Stub)]
    called = {stub.name: ([stub.params_type], stub.result_type) for stub in stubs}
    assert called == registered[0] | registered[1]


async def test_every_stub_uses_its_queue_and_limits(
    start: StartRun, registered: tuple[dict[str, tuple[list[Any], Any]], dict[str, tuple[list[Any], Any]]]
) -> None:
    scheduled = await scheduled_by_a_run(start)
    queues = {name: attributes.task_queue.name for name, attributes in scheduled.items()}
    assert queues == dict.fromkeys(registered[0], TASK_QUEUE) | dict.fromkeys(registered[1], AGENT_TASK_QUEUE)
    for name, attributes in scheduled.items():
        attempts_max = attributes.retry_policy.maximum_attempts
        heartbeat_s = attributes.heartbeat_timeout.ToTimedelta().total_seconds()
        # An agent call may queue for the model, and is rescheduled after half of its time (activities/heartbeats.py).
        minutes_max = 30 if name in AGENT_CALLS else 15
        assert 0 < attributes.start_to_close_timeout.ToTimedelta().total_seconds() <= minutes_max * 60, name
        if name in AGENT_CALLS:
            assert 1 <= attempts_max <= 3, name
            assert 0 < heartbeat_s <= 60, name
            assert "PayloadsTooLarge" in attributes.retry_policy.non_retryable_error_types, name
    bounded = {name for name, attributes in scheduled.items() if attributes.retry_policy.maximum_attempts}
    of_a_company = {*AGENT_CALLS, "qualify_company", "verify_emails", "select_contacts"}
    assert bounded == {*of_a_company, "recheck_suppression", "notify_requester"}, (
        "the run itself waits for the database"
    )
