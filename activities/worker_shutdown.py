"""Reschedule activities that an attempt cannot finish, by raising ``RescheduleError``.

Workflows schedule the activity again at once (``workflows/activity_stubs.py``), on any worker. No attempt is counted, and
nothing waits for a heartbeat time-out. Stored work is not repeated.
"""

import asyncio
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.failures import RESCHEDULE

log = structlog.get_logger()


class RescheduleError(ApplicationError):
    def __init__(self, why: str) -> None:
        log.info("activity_rescheduled", activity=activity.info().activity_type, why=why)
        super().__init__(f"rescheduled: {why}", type=RESCHEDULE, category=ApplicationErrorCategory.BENIGN)


class RescheduleOnShutdown(Interceptor):
    """Reschedules activities that a worker cancels at the end of its shutdown grace period."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _RescheduleOnShutdown(next)


class _RescheduleOnShutdown(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is None or not details.worker_shutdown or details.cancel_requested:
                raise
            raise RescheduleError("the worker stops") from None
