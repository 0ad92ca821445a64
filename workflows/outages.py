"""Dependencies that are down, and how a run goes on by itself when they answer again."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from domain.activity_io import DependencyCheckInput
from domain.failures import Dependency, Outage, outage_of
from workflows import activity_stubs
from workflows.state import RunState

# An outage so soon after the last one is the same one: the check succeeded, but the work still failed.
_SAME_OUTAGE = timedelta(minutes=15)
_RECHECK_MAX_S = 30 * 60.0


def outage_from(error: ActivityError) -> Outage | None:
    """The outage behind an activity's failure; None if the failure is the activity's own."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return None
    return outage_of(cause.type, cause.message, non_retryable=cause.non_retryable)


def has_recovered(watch: asyncio.Task[bool] | None) -> bool:
    """Whether a watch ended because everything answers again."""
    return watch is not None and watch.done() and not watch.cancelled() and watch.result()


class Outages:
    """What has failed since the run last went on, in that order."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._down: dict[Dependency, Outage] = {}

    @property
    def down(self) -> tuple[Outage, ...]:
        return tuple(self._down.values())

    def add(self, outage: Outage | None) -> None:
        """Note an outage. One that needs a person replaces one that passes by itself."""
        if outage is not None and (outage.needs_person or outage.dependency not in self._down):
            self._down[outage.dependency] = outage

    def clear(self) -> None:
        self._down.clear()

    async def wait_for_database(self, show: Callable[[], None]) -> bool:
        """Wait until the database is back, if it is down: without it no question can be stored.

        Returns:
            Whether nothing else is down, so there is nothing to ask.
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
        """A task that ends with True when everything answers again; the caller cancels it.

        None if nothing is known to be down, or a person has to fix it.
        """
        if not self._down or any(outage.needs_person for outage in self._down.values()):
            return None
        return asyncio.create_task(self._wait_for(tuple(self._down), self._next_recheck_s()))

    def resume(self) -> None:
        """Go on after an outage, at first with one search and one company, until something succeeds."""
        self._resume(tuple(self._down))

    def _resume(self, dependencies: tuple[Dependency, ...]) -> None:
        self._state.resumed_at, self._state.probing = workflow.now(), True
        self._state.note = f"{' and '.join(dependencies)} answered again; the run went on by itself"

    def _is_same_outage(self) -> bool:
        resumed_at = self._state.resumed_at
        return resumed_at is not None and workflow.now() - resumed_at < _SAME_OUTAGE

    def _next_recheck_s(self) -> float:
        """Seconds until the first check. They double while the check succeeds but the work still fails."""
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
                # A defect of the check: the question stays open for a person.
                workflow.logger.error("the dependencies cannot be checked", exc_info=error)
            return False
        return True

    def _params(self, dependencies: tuple[Dependency, ...]) -> DependencyCheckInput:
        return DependencyCheckInput(run_id=self._state.request.run_id, dependencies=dependencies)
