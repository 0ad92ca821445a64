"""The checks on histories after each test find what they look for, and a run resumes from its history alone."""

import pytest
from temporalio.client import WorkflowHistory
from temporalio.workflow import NondeterminismError

from domain.failures import MODEL_UNREACHABLE
from domain.request.progress import RunStatus
from tests.workflows.conftest import PAYLOAD_BYTES_MAX, StartRun, check_payloads, replay
from tests.workflows.fake_run import NO, OK, SHORT, at
from tests.workflows.live_run import request_for


async def history_of_a_run(start: StartRun) -> WorkflowHistory:
    run = await start(request_for(1), [OK])
    await run.result()
    (history,) = await run.own_histories()
    return WorkflowHistory.from_json(history.workflow_id, history.to_json())


async def test_a_history_of_other_decisions_does_not_replay(start: StartRun) -> None:
    history = await history_of_a_run(start)
    await replay([history])
    for event in history.events:
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name == "recheck_suppression":
            scheduled.activity_type.name = "export_run"
    with pytest.raises(NondeterminismError):
        await replay([history])


async def test_large_results_and_addresses_in_a_history_are_found(start: StartRun) -> None:
    history = await history_of_a_run(start)
    check_payloads(history)
    result = next(
        event.activity_task_completed_event_attributes.result.payloads[0]
        for event in history.events
        if event.activity_task_completed_event_attributes.result.payloads
    )
    result.data = b'"someone@acme.example"'
    with pytest.raises(AssertionError, match="holds an address"):
        check_payloads(history)
    result.data = b"1" * (PAYLOAD_BYTES_MAX + 1)
    with pytest.raises(AssertionError, match="event"):
        check_payloads(history)


async def test_a_run_can_be_resumed_from_its_history(start_skipping: StartRun) -> None:
    """The workers of this server cache no workflow, so every workflow task replays the whole history."""
    run = await start_skipping(
        request_for(3, discovery=2, companies=3),
        [OK, NO],
        [SHORT],
        [OK],
        prepare=lambda s: s.fail_once("research_company", at(0), MODEL_UNREACHABLE),
    )
    await run.notified("decision-1")
    await run.signal("nonsense")
    await run.signal({"decision_id": "decision-1", "action": "retry"})
    await run.notified("decision-2")
    await run.signal({"decision_id": "decision-2", "action": "accept_partial"})
    await run.notified("completed")
    result = await run.result()
    assert (result.status, result.companies) == (RunStatus.COMPLETED, 2)
    assert run.stored.complete() == [at(0, 0), at(2, 0)]
