"""Tracks dependencies that are down, and resumes the run when they recover."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from domain.activity_io import DependencyCheckInput
from domain.failures import Dependency, Outage, outage_of
from workflows import activity_stubs
from workflows.state import RunState

# A new outage this soon is the same one: the check succeeded, but the work still failed.
_SAME_OUTAGE = timedelta(minutes=15)
_RECHECK_MAX_S = 30 * 60.0


def outage_from(error: ActivityError) -> Outage | None:
    """Return the outage that caused an activity's failure, or None if the activity itself failed."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return None
    return outage_of(cause.type, cause.message, non_retryable=cause.non_retryable)


def has_recovered(watch: asyncio.Task[bool] | None) -> bool:
    """Whether the watch ended because every dependency recovered."""
    return watch is not None and watch.done() and not watch.cancelled() and watch.result()


class Outages:
    """Dependencies that failed since the run last resumed, oldest first."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._down: dict[Dependency, Outage] = {}

    @property
    def down(self) -> tuple[Outage, ...]:
        return tuple(self._down.values())

    def add(self, outage: Outage | None) -> None:
        """Record an outage. An outage that needs a person replaces one that ends by itself."""
        if outage is not None and (outage.needs_person or outage.dependency not in self._down):
            self._down[outage.dependency] = outage

    def clear(self) -> None:
        self._down.clear()

    async def wait_for_database(self, show: Callable[[], None]) -> bool:
        """If the database is down, wait until it recovers. The run needs it to store a question.

        Returns:
            True if the database was down and nothing else is, so the run has nothing to ask.
        """
        if self._down.pop(Dependency.DATABASE, None) is None:
            return False
        self._state.note = "the database did not answer after several attempts; the run goes on when it does"
        show()
        if self._is_same_outage():
            await workflow.sleep(self._next_recheck_s(), summary="database down: next check")
        await activity_stubs.check_database(self._params((Dependency.DATABASE,)))
        self._resume((Dependency.DATABASE,))
        return not self._down

    def watch(self) -> asyncio.Task[bool] | None:
        """Start a task that returns True when every dependency recovers. The caller cancels it.

        Returns:
            None if nothing is down or a person has to fix something.
        """
        if not self._down or any(outage.needs_person for outage in self._down.values()):
            return None
        return asyncio.create_task(self._wait_for(tuple(self._down), self._next_recheck_s()))

    def resume(self) -> None:
        """Resume with one search and one company at a time until something succeeds."""
        self._resume(tuple(self._down))

    def _resume(self, dependencies: tuple[Dependency, ...]) -> None:
        self._state.resumed_at, self._state.probing = workflow.now(), True
        self._state.note = f"{' and '.join(dependencies)} answered again; the run went on by itself"

    def _is_same_outage(self) -> bool:
        resumed_at = self._state.resumed_at
        return resumed_at is not None and workflow.now() - resumed_at < _SAME_OUTAGE

    def _next_recheck_s(self) -> float:
        """Return the seconds until the first check. They double each time the check succeeds but the work still fails."""
        state, first_s = self._state, self._state.request.windows.outage_recheck_s
        longest_s = max(first_s, _RECHECK_MAX_S)
        state.recheck_s = min(max(state.recheck_s, first_s) * 2, longest_s) if self._is_same_outage() else first_s
        return state.recheck_s

    async def _wait_for(self, dependencies: tuple[Dependency, ...], recheck_s: float) -> bool:
        try:
            await workflow.sleep(recheck_s, summary=f"{' and '.join(dependencies)} down: first check")
            await activity_stubs.check_dependencies(self._params(dependencies))
        except ActivityError as error:
            if not is_cancelled_exception(error):
                # The check itself failed, so the question stays open for a person.
                workflow.logger.error("the dependencies cannot be checked", exc_info=error)
            return False
        return True

    def _params(self, dependencies: tuple[Dependency, ...]) -> DependencyCheckInput:
        return DependencyCheckInput(run_id=self._state.request.run_id, dependencies=dependencies)
