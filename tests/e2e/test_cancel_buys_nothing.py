"""A cancelled run buys nothing more: an answer that was on its way is stored, and no step follows it (LESSONS F15, F30)."""

from __future__ import annotations

from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

from runtime.connection import connect
from tests.e2e.model_servers import ModelServer, model_server, scripted
from tests.e2e.stacks import running_worker
from tests.e2e.terminal import Terminal, wait_until

COMPANIES = 4


async def test_steps_that_end_well_while_their_run_is_cancelled_are_followed_by_none(
    idle_stack: Terminal, tmp_path: Path
) -> None:
    begun = "SELECT count(*) FROM agent_turns WHERE run_id = %s AND turn = 0"
    client = await connect(idle_stack.addresses().temporal_address)
    windows = {"DISCOVERY_WINDOW": "1", "COMPANY_WINDOW": str(COMPANIES)}
    with (
        model_server(scripted, pause_after=18) as model,
        running_worker(idle_stack.addresses(), tmp_path, OPENAI_BASE_URL=model.url, OPENAI_MODEL="counted"),
    ):
        run = idle_stack.with_variables(**windows).start({"pms": "Buildium", "state": "NC"}, 500, waits=False)
        everything_waits_for(model)
        before = idle_stack.one(begun, run["run_id"])
        idle_stack.run("cancel", run["run_id"])
        handle = client.get_workflow_handle(run["workflow_id"])
        while await cancelled_companies(handle) < COMPANIES:
            pass
        model.go_on()
        cancelled = idle_stack.json("watch", run["run_id"], code=5)

    assert idle_stack.one(begun, run["run_id"]) == before >= COMPANIES, (
        "no conversation was begun after the cancellation"
    )
    paid = idle_stack.one("SELECT count(*) FROM agent_turns WHERE run_id = %s AND status = 'stored'", run["run_id"])
    assert paid == len(model.asked), "what was on its way is stored"
    assert cancelled["funnel"].get("complete", 0) == cancelled["companies"]["ready"], "what is complete can be exported"


def everything_waits_for(model: ModelServer) -> None:
    """Wait until the whole window of companies and the one search wait for the model's answer: nothing else can begin."""
    wait_until(lambda: model.paused.is_set() and model.unanswered >= COMPANIES + 1, "the run is in mid-work")


async def cancelled_companies(handle: WorkflowHandle[object, object]) -> int:
    """How many of the run's companies have been told to stop."""
    told = EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED
    return sum(event.event_type == told for event in (await handle.fetch_history()).events)
