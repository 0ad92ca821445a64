"""Cancelling a run in any stage, and ending one of its companies alone.

A cancelled run is ``CANCELED`` for Temporal and ``cancelled`` where people query it, leaves no open company behind, and
keeps what it has found. A company that somebody ends by hand ends as failed, and its run goes on.
"""

from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError

from domain.company.status import CompanyStatus
from domain.request.progress import RunStatus
from domain.request.run_request import Limits
from tests.workflows.conftest import StartRun
from tests.workflows.fake_run import OK, FakeRun, at
from tests.workflows.live_run import LiveRun, eventually, request_for


async def ends_as_cancelled(run: LiveRun) -> None:
    """Wait for the end of a cancelled run and check it."""
    with pytest.raises(WorkflowFailureError) as raised:
        await run.result()
    assert isinstance(raised.value.cause, CancelledError)
    assert await run.status() is WorkflowExecutionStatus.CANCELED
    assert [params.status for params in run.stored.inputs("finish_run")] == [RunStatus.CANCELLED]
    assert run.notifications()[-1] == "cancelled"
    assert run.stored.inputs("export_run") == []
    progress = await run.progress()
    assert (progress.status, progress.decision) == (RunStatus.CANCELLED, None)
    assert WorkflowExecutionStatus.RUNNING not in (await run.children_statuses()).values()


async def was_asked_to_cancel(handle: WorkflowHandle[Any, Any]) -> bool:
    events = (await handle.fetch_history()).events
    return any(event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED for event in events)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("plan_run_search", None),
        ("discover", 0),
        ("qualify_company", at(0, 1)),
        ("research_company", at(0, 1)),
        ("find_contacts", at(0, 1)),
        ("recheck_suppression", None),
    ],
    ids=["planning", "discovery", "qualification", "research", "contacts", "suppression check"],
)
async def test_a_run_can_be_cancelled_in_every_stage(start: StartRun, name: str, key: int | None) -> None:
    run = await start(request_for(2), [OK, OK], prepare=lambda s: s.hold(name, key))
    await run.stored.reached(name, key)
    if key == at(0, 1):
        await run.until(lambda p: p.companies_ready == 1)
    await run.handle.cancel()
    await ends_as_cancelled(run)
    if key == at(0, 1):
        assert run.stored.statuses() == {at(0, 0): CompanyStatus.COMPLETE, at(0, 1): CompanyStatus.FOUND}


@pytest.mark.parametrize("name", ["finish_run", "export_run", "notify_requester"])
async def test_a_run_can_be_cancelled_during_delivery(start: StartRun, name: str) -> None:
    run = await start(request_for(1), [OK], prepare=lambda s: s.hold(name))
    await run.stored.reached(name)
    await run.handle.cancel()
    while not await was_asked_to_cancel(run.handle):
        pass
    run.stored.release_all()
    if name == "finish_run":  # its end was not stored yet
        with pytest.raises(WorkflowFailureError):
            await run.result()
        assert run.stored.inputs("finish_run")[-1].status is RunStatus.CANCELLED
        assert (await run.progress()).status is RunStatus.CANCELLED
        assert run.notifications() == ["cancelled"]
    else:
        with pytest.raises(WorkflowFailureError):
            await run.result()
        assert [params.status for params in run.stored.inputs("finish_run")] == [RunStatus.COMPLETED]
        assert run.stored.inputs("export_run"), "its files are kept"
        assert run.notifications()[-1] == "completed"
        assert (await run.progress()).status is RunStatus.COMPLETED
    assert await run.status() is WorkflowExecutionStatus.CANCELED


async def test_a_run_can_be_cancelled_while_it_waits_for_a_decision(start: StartRun) -> None:
    run = await start(request_for(2), [OK])
    await run.question()
    await run.handle.cancel()
    await ends_as_cancelled(run)


async def test_a_run_that_waits_with_companies_open_can_be_cancelled(start: StartRun) -> None:
    run = await start(
        request_for(2, limits=Limits(stage_timeout_s=3)), [OK], prepare=lambda s: s.hold("research_company", at(0))
    )
    await run.stored.reached("research_company", at(0))
    await run.question()
    await run.handle.cancel()
    await ends_as_cancelled(run)
    assert await run.children_statuses() == {at(0): WorkflowExecutionStatus.CANCELED}


async def test_a_run_can_be_cancelled_while_it_stops_open_work(start: StartRun) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.hold("research_company", at(0, 1)).ignores_cancel = True

    run = await start(request_for(1), [OK, OK], prepare=prepare)
    slow = run.stored.hold("research_company", at(0, 1))
    await slow.reached.wait()
    await run.until(lambda p: p.companies_ready == 1)
    while not await was_asked_to_cancel(run.child(at(0, 1))):
        pass
    await run.handle.cancel()
    while not await was_asked_to_cancel(run.handle):
        pass
    slow.release()
    await ends_as_cancelled(run)


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_a_company_ended_by_hand_ends_as_failed(start: StartRun, how: str) -> None:
    run = await start(request_for(1), [OK, OK], prepare=lambda s: s.hold("research_company", at(0, 0)))
    await run.stored.reached("research_company", at(0, 0))
    await getattr(run.child(at(0, 0)), how)()
    result = await run.result()
    assert (result.status, result.companies) == (RunStatus.COMPLETED, 1)
    assert run.stored.statuses() == {at(0, 0): CompanyStatus.FAILED, at(0, 1): CompanyStatus.COMPLETE}


async def test_a_terminated_run_leaves_no_company_running(start: StartRun) -> None:
    run = await start(request_for(1), [OK], prepare=lambda s: s.hold("research_company", at(0)))
    await run.stored.reached("research_company", at(0))
    await run.handle.terminate("by hand")
    child = run.child(at(0))
    with pytest.raises(WorkflowFailureError) as raised:
        await child.result()
    assert isinstance(raised.value.cause, CancelledError)
    await eventually(lambda: run.stored.statuses() == {at(0): CompanyStatus.FOUND}, "kept as it was")
