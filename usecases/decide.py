"""Answer a run's open question, or cancel the run."""

import shlex
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from domain.request.decision import DecisionError, DecisionOption, parse_decision
from domain.request.progress import ENDED, RunStatus
from domain.request.run_request import RunRequest
from runtime.process import UserError
from runtime.services import Services
from store.runs.runs import RunRow
from workflows.names import UPDATE_DECISION

_ANSWER_TIMEOUT = timedelta(seconds=20)

# Key of an answer → option of the ``signal`` command.
_ANSWER_FLAGS = {
    "states": "--state",
    "cities": "--city",
    "pms": "--pms",
    "criteria": "--criterion",
    "radius_miles": "--radius-miles",
    "units_min": "--units-min",
    "max_cost_usd": "--max-cost-usd",
    "max_model_calls": "--max-model-calls",
    "whole_state": "--whole-state",
    "pms_soft": "--pms-soft",
}


async def send_decision(services: Services, run: RunRow, answer: dict[str, Any]) -> None:
    """Answer a run's open question.

    Args:
        answer: action and its options. ``decision_id`` is optional.

    Raises:
        UserError: no question is open, or the question does not allow this answer.
    """
    if run.status is not RunStatus.NEEDS_USER_DECISION or run.decision is None:
        raise UserError(
            f"run {run.short_id} is not waiting for a decision (it is {run.status.value}): nothing was sent"
        )
    answer = {"decision_id": run.decision.decision_id, **answer}
    try:
        # The workflow applies the same rules. Checking here first rejects a bad answer even if no worker runs.
        parse_decision(answer, run.decision, _request_of(run), key_names=_ANSWER_FLAGS)
    except DecisionError as error:
        raise UserError(str(error)) from error
    handle = services.client.get_workflow_handle(run.workflow_id)
    try:
        await handle.execute_update(
            UPDATE_DECISION,
            answer,
            id=f"{run.decision.decision_id}:{answer['action']}",
            result_type=dict,
            rpc_timeout=_ANSWER_TIMEOUT,
        )
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        raise UserError(cause.message if isinstance(cause, ApplicationError) else str(cause)) from error
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise UserError("no worker took the answer within 20 seconds: start one with `python worker.py`") from error
    except RPCError as error:
        raise _user_error(error) from error


async def cancel_run(services: Services, run: RunRow) -> None:
    """Cancel a run. Its results stay. Raises UserError if it has ended."""
    if run.status in ENDED:
        raise UserError(f"run {run.short_id} has already ended (it is {run.status.value})")
    try:
        await services.client.get_workflow_handle(run.workflow_id).cancel()
    except RPCError as error:
        raise _user_error(error) from error


def signal_command(run: RunRow, option: DecisionOption) -> str:
    words = ["python", "starter.py", "signal", run.short_id, option.action.value]
    for name, value in option.answer.items():
        if name in _ANSWER_FLAGS:
            values: Iterable[object] = value if isinstance(value, list) else [value]
            for item in values:
                words += [_ANSWER_FLAGS[name]] if item is True else [_ANSWER_FLAGS[name], str(item)]
    return shlex.join(words)


def _user_error(error: RPCError) -> UserError:
    if error.status is RPCStatusCode.NOT_FOUND:
        return UserError("this run's workflow no longer runs. `python starter.py status RUN` says what to do")
    if error.status is RPCStatusCode.UNAVAILABLE:
        return UserError(
            "Temporal does not answer: start the local stack (`python starter.py local`) and repeat the command"
        )
    return UserError(f"Temporal refused: {error.message}; is a worker running (`python worker.py`)?")


def _request_of(run: RunRow) -> RunRequest:
    return RunRequest(
        run_id=run.run_id,
        criteria=run.criteria,
        target_quantity=run.target_quantity,
        contacts_min=run.contacts_min,
        contacts_max=run.contacts_max,
        limits=run.limits,
    )
