"""A run whose workflow Temporal has lost says what to do, and starts again under its current limits."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from domain.request.run_request import Limits
from runtime.connection import connect
from tests.e2e.terminal import Terminal, wait_until
from workflows.messages import LeadListInput

CRITERIA = {"pms": "Rentvine", "state": "WY"}


def test_a_lost_run_says_so_and_starts_again_with_its_limits(
    idle_stack: Terminal,
) -> None:
    run_id, address = str(uuid4()), idle_stack.addresses().temporal_address
    lost = idle_stack.start(CRITERIA, 2, "--run-id", run_id, "--max-model-calls", "10", waits=False)
    assert idle_stack.status(run_id)["stranded"] is None, "it waits for a worker"
    raised = """UPDATE runs SET limits = jsonb_set(limits, '{max_model_calls}', '13') WHERE run_id = %s RETURNING 1"""
    assert idle_stack.rows(raised, run_id)
    question = """UPDATE runs SET status = 'needs_user_decision', decision = (
        SELECT jsonb_build_object('decision_id', 'decision-1', 'reason', 'budget_reached', 'message', 'asked before',
        'funnel', '{}'::jsonb, 'options', '[]'::jsonb, 'default', 'cancel', 'deadline', now())) WHERE run_id = %s RETURNING 1"""
    assert idle_stack.rows(question, run_id)
    asyncio.run(deleted(address, lost["workflow_id"]))
    wait_until(lambda: idle_stack.status(run_id)["stranded"], "Temporal has deleted it")

    status = idle_stack.status(run_id)
    assert f"start --run-id {run_id}" in status["stranded"]
    assert status["waiting_for_worker"] is False, "no worker would help"
    assert "asked before" not in idle_stack.run("status", run_id).out, "nobody takes an answer"
    assert "`python starter.py status RUN` says what to do" in idle_stack.run("cancel", run_id, code=2).err

    words = ("start", "--criteria", json.dumps(CRITERIA), "--quantity", "2", "--run-id", run_id, "--detach")
    said = idle_stack.run(*words).out
    assert f"Run {run_id} started" in said
    started = idle_stack.status(run_id)
    assert (started["status"], started["decision"]) == ("active", None), "the workflow that asked is gone"
    assert "keeps its current limits" in said
    assert asyncio.run(limits_of(address, lost["workflow_id"])).max_model_calls == 13
    again = idle_stack.run(*words).out
    assert f"Run {run_id} was started before" in again, "and it is one run"
    asyncio.run(terminated(address, lost["workflow_id"]))
    assert "its workflow has ended as terminated" in idle_stack.status(run_id)["stranded"]


async def deleted(address: str, workflow_id: str) -> None:
    """Delete a workflow, as the server does after its retention."""
    client = await connect(address)
    execution = WorkflowExecution(workflow_id=workflow_id)
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=execution)
    )


async def limits_of(address: str, workflow_id: str) -> Limits:
    client = await connect(address)
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    payload = history.events[0].workflow_execution_started_event_attributes.input.payloads[0]
    return LeadListInput.model_validate_json(payload.data).request.limits


async def terminated(address: str, workflow_id: str) -> None:
    await (await connect(address)).get_workflow_handle(workflow_id).terminate()
