"""Telling the requester of a change of state. A message that cannot be sent stops nothing."""

import asyncio
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.activity_io import NotifyInput
    from workflows import activity_stubs


async def notify(run_id: UUID, state_key: str) -> None:
    """Tell of a state, in a few attempts."""
    try:
        await activity_stubs.notify_requester(NotifyInput(run_id=run_id, state_key=state_key))
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.error("the requester was not told", exc_info=error)


def notify_until_cancelled(run_id: UUID, decision_id: str) -> "asyncio.Task[None]":
    """Tell of a question beside waiting for its answer, for as long as it is open."""

    async def telling() -> None:
        try:
            await activity_stubs.notify_of_question(NotifyInput(run_id=run_id, state_key=decision_id))
        except ActivityError as error:
            if not is_cancelled_exception(error):
                workflow.logger.error("the requester was not told", exc_info=error)

    return asyncio.create_task(telling())
