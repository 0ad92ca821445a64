"""What is done with work that this attempt cannot finish: it is handed back, and taken up at once, by another worker if this one drains.

A step that is handed back ends as ``HandedBack``, which the workflows answer by scheduling it anew (``workflows/activity_stubs.py``): no
attempt is counted, no pause of a retry and no heartbeat time-out is waited for. What it has stored is not done again.
"""

import asyncio
from datetime import timedelta
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.failures import RESCHEDULE

log = structlog.get_logger()

# Only for a step that was scheduled by code which did not know of handing back yet: there it is an ordinary retry.
_AT_ONCE = timedelta(milliseconds=1)


class RescheduleError(ApplicationError):
    """The step goes on in another attempt."""

    def __init__(self, why: str = "the worker stops") -> None:
        super().__init__(
            f"handed back: {why}",
            type=RESCHEDULE,
            next_retry_delay=_AT_ONCE,
            category=ApplicationErrorCategory.BENIGN,
        )


def reschedule_if_shutting_down() -> None:
    """At a point where nothing is under way: end here when the worker is stopping.

    Raises:
        RescheduleError: it is.
    """
    if activity.is_worker_shutdown():
        log.info("activity_rescheduled", activity=activity.info().activity_type)
        raise RescheduleError


class RescheduleOnShutdown(Interceptor):
    """Turns the cancellation that a drain ends with into handing back."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See ``Interceptor``."""
        return _RescheduleOnShutdown(next)


class _RescheduleOnShutdown(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is None or not details.worker_shutdown or details.cancel_requested:
                raise
            log.info("activity_rescheduled", activity=activity.info().activity_type)
            raise RescheduleError from None
