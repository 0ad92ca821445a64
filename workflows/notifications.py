"""Notifies the requester. If a message can't be sent, the error is logged and the run continues."""

import asyncio
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from domain.activity_io import NotifyInput
from workflows import activity_stubs


async def notify(run_id: UUID, state_key: str) -> None:
    try:
        await activity_stubs.notify_requester(NotifyInput(run_id=run_id, state_key=state_key))
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.error("the requester was not notified", exc_info=error)


def notify_until_cancelled(run_id: UUID, decision_id: str) -> asyncio.Task[None]:
    """Start a task that announces the open question. The caller cancels it when the question closes."""

    async def notify_of_question() -> None:
        try:
            await activity_stubs.notify_of_question(NotifyInput(run_id=run_id, state_key=decision_id))
        except ActivityError as error:
            if not is_cancelled_exception(error):
                workflow.logger.error("the requester was not notified", exc_info=error)

    return asyncio.create_task(notify_of_question())
