"""A dependency is down: the run asks, rechecks it, and goes on by itself or as a person decides."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from domain.activity_io import DependencyCheckInput
from domain.failures import (
    MODEL_ACCESS_DENIED,
    MODEL_QUOTA_EXCEEDED,
    MODEL_SERVER_ERROR,
    SEARCH_UNAVAILABLE,
    Dependency,
)
from domain.request.decision import DecisionReason
from domain.request.progress import RunStatus
from domain.request.run_request import Limits, OnDecision
from tests.workflows.conftest import StartRun
from tests.workflows.fake_run import NO, OK, FakeRun, at
from tests.workflows.live_run import LiveRun, eventually, request_for


def checked(run: LiveRun) -> list[tuple[Dependency, ...]]:
    steps: list[DependencyCheckInput] = run.stored.inputs("check_dependencies")
    return [params.dependencies for params in steps]


def first_checks_after(history: WorkflowHistory) -> list[timedelta]:
    """How long the run waited after each outage before its first check."""
    timers = [event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta() for event in history.events]
    return [timer for timer in timers if timer and timer <= timedelta(minutes=30)]


@pytest.mark.parametrize(
    ("name", "key", "failure_type", "dependency"),
    [
        ("discover", 0, SEARCH_UNAVAILABLE, Dependency.SEARCH),
        ("recheck_suppression", None, "HubSpotUnavailableError", Dependency.CRM),
    ],
    ids=["search", "crm at delivery"],
)
async def test_a_run_goes_on_by_itself_after_an_outage(
    start_skipping: StartRun, name: str, key: int | None, failure_type: str, dependency: Dependency
) -> None:
    run = await start_skipping(
        request_for(2), [OK, OK, NO], prepare=lambda s: s.silence(name, key, failure_type, checks=3)
    )
    await run.notified("decision-1")
    question = run.stored.question
    assert question is not None and question.reason is DecisionReason.DEPENDENCY_DOWN
    assert f"the {dependency.value} did not answer" in question.message and "by itself" in question.message
    result = await run.result()
    assert (result.status, result.companies, result.partial) == (RunStatus.COMPLETED, 2, False)
    assert checked(run) == [(dependency,)] * 3
    assert run.stored.inputs("apply_decision") == [], "nobody had to decide"
    assert run.stored.inputs("fail_company") == run.stored.inputs("fail_search_task") == []
    assert run.notifications() == ["decision-1", "completed"]


async def test_during_an_outage_only_checks_run(
    start_skipping: StartRun,
) -> None:
    checks = 15

    def prepare(stored: FakeRun) -> None:
        stored.silence("research_company", None, MODEL_SERVER_ERROR, checks)

    run = await start_skipping(request_for(6, companies=4), [OK] * 6, prepare=prepare)
    await run.notified("decision-1")
    result = await run.result()
    assert result.companies == 6
    attempts = len(run.stored.keys("research_company"))
    assert attempts <= 6 + 4 * 3, (
        "three for each of the four companies that were open, one for each that was done later"
    )
    assert len(checked(run)) == checks
    (history,) = await run.own_histories()
    types = [event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events]
    assert types.count("check_dependencies") == 1, "all checks are one activity of the history"


async def test_rechecks_slow_down_while_the_work_still_fails(
    start_skipping: StartRun,
) -> None:
    run = await start_skipping(
        request_for(4, companies=4),
        [OK] * 4,
        prepare=lambda s: s.flicker("research_company", MODEL_SERVER_ERROR, outages=3),
    )
    assert (await run.result()).companies == 4
    (history,) = await run.own_histories()
    assert first_checks_after(history) == [timedelta(minutes=minutes) for minutes in (1, 2, 4)]
    attempts = len(run.stored.keys("research_company"))
    assert attempts <= 4 * 3 + 2 * 3 + 4, "the window once, then one company per outage, then the rest"


@pytest.mark.parametrize("failure_type", [MODEL_ACCESS_DENIED, MODEL_QUOTA_EXCEEDED])
async def test_an_outage_that_needs_a_person_is_not_rechecked(start: StartRun, failure_type: str) -> None:
    run = await start(request_for(1), [OK], prepare=lambda s: s.fail("research_company", at(0), failure_type))
    question = await run.question()
    assert question.reason is DecisionReason.DEPENDENCY_DOWN
    assert "research_company was planned to fail" in question.message and "by itself" not in question.message
    run.stored.mend()
    await run.decide(1, "retry")
    assert (await run.result()).companies == 1
    assert checked(run) == []


async def test_a_decision_taken_during_an_outage_ends_the_checks(start_skipping: StartRun) -> None:
    run = await start_skipping(
        request_for(2), [OK, OK], prepare=lambda s: s.silence("discover", 0, SEARCH_UNAVAILABLE, checks=10_000)
    )
    await run.notified("decision-1")
    ended = asyncio.ensure_future(run.result())  # the server skips time while a client waits for the result
    await eventually(lambda: len(checked(run)) >= 2, "checked twice")
    await run.decide(1, "retry")
    run.stored.mend()
    assert (await ended).companies == 2
    (history,) = await run.own_histories()
    cancelled = [
        history.events[event.activity_task_cancel_requested_event_attributes.scheduled_event_id - 1]
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED
    ]
    names = [event.activity_task_scheduled_event_attributes.activity_type.name for event in cancelled]
    assert names == ["check_dependencies"]


async def test_a_run_waits_for_the_database_without_asking(
    start_skipping: StartRun,
) -> None:
    run = await start_skipping(
        request_for(2), [OK, OK], prepare=lambda s: s.silence("select_contacts", at(0), "OperationalError", checks=4)
    )
    result = await run.result()
    assert (result.status, result.companies) == (RunStatus.COMPLETED, 2)
    assert checked(run) == [(Dependency.DATABASE,)] * 4
    assert run.notifications() == ["completed"], "no question was asked"
    assert len(run.stored.keys("select_contacts")) <= 6 + 2


async def test_waiting_for_the_database_is_no_stage_time(start_skipping: StartRun) -> None:
    """Otherwise an answer in the request would deliver a short list."""
    request = request_for(2, limits=Limits(stage_timeout_s=600), on_decision=OnDecision.ACCEPT_PARTIAL)
    run = await start_skipping(
        request, [OK, OK], prepare=lambda s: s.silence("discover", 0, "OperationalError", checks=40)
    )
    result = await run.result()
    assert len(checked(run)) == 40
    assert (result.status, result.companies, result.partial) == (RunStatus.COMPLETED, 2, False)
    assert run.notifications() == ["completed"]


async def test_rechecks_of_the_database_slow_down_too(
    start_skipping: StartRun,
) -> None:
    run = await start_skipping(
        request_for(4, companies=4),
        [OK] * 4,
        prepare=lambda s: s.flicker("research_company", "OperationalError", outages=3),
    )
    assert (await run.result()).companies == 4
    (history,) = await run.own_histories()
    assert first_checks_after(history) == [timedelta(minutes=minutes) for minutes in (2, 4)], "the first at once"
    attempts = len(run.stored.keys("research_company"))
    assert attempts <= 4 * 6 + 2 * 6 + 4, "the window once, then one company per outage, then the rest"


async def test_an_unreachable_mail_server_delays_no_answer(start: StartRun) -> None:
    run = await start(request_for(2), [OK], prepare=lambda s: s.hold("notify_requester"))
    await run.question()
    await run.decide(1, "accept_partial")
    await run.until(lambda p: p.status is RunStatus.COMPLETED)
    run.stored.release_all()
    assert (await run.result()).companies == 1
