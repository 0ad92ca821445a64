"""Dependencies that are down: what a run knows of them, and how it goes on by itself when they answer again.

The question that a run puts meanwhile is the run's (``lead_list.py``); what a failure means is in ``domain/failures.py``.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from collections.abc import Callable

    from domain.activity_io import DependencyCheckInput
    from domain.failures import Dependency, Outage, outage_of
    from workflows import activity_stubs
    from workflows.state import RunState

# An outage so soon after the last one is the same one: the check answered, and the work still failed.
_SAME_OUTAGE = timedelta(minutes=15)
_RECHECK_MAX_S = 30 * 60.0


def outage_from(error: ActivityError) -> Outage | None:
    """The outage that a step's failure stands for: the next step would fail the same way. None for a failure of its own."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return None
    return outage_of(cause.type, cause.message, is_final=cause.non_retryable)


def has_recovered(watch: "asyncio.Task[bool] | None") -> bool:
    """Whether a watch (``Outages.watch``) has ended with everything answering again."""
    return watch is not None and watch.done() and not watch.cancelled() and watch.result()


class Outages:
    """What has failed since the run last went on."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._down: dict[Dependency, Outage] = {}

    @property
    def down(self) -> tuple[Outage, ...]:
        """What is down, in the order in which it failed."""
        return tuple(self._down.values())

    def note(self, outage: Outage | None) -> None:
        """Remember an outage; one that a person has to mend stands before one that passes."""
        if outage is not None and (outage.needs_person or outage.dependency not in self._down):
            self._down[outage.dependency] = outage

    def forget(self) -> None:
        """The run goes on: what fails from now on is a new outage."""
        self._down.clear()

    async def wait_for_database(self, show: "Callable[[], None]") -> bool:
        """Wait for the database where it has failed, since without it no question can be put.

        Args:
            show: called to show that the run waits.

        Returns:
            Whether that was all that was down, so that there is nothing to ask.
        """
        if self._down.pop(Dependency.DATABASE, None) is None:
            return False
        self._state.note = "the database did not answer after several attempts; the run goes on when it does"
        show()
        if self._is_same_outage():
            await workflow.sleep(self._next_recheck_s(), summary="the database down: next check")
        await activity_stubs.check_dependencies(
            DependencyCheckInput(run_id=self._state.request.run_id, dependencies=(Dependency.DATABASE,))
        )
        self._state.resumed_at, self._state.probing = workflow.now(), True
        self._state.note = _went_on(Dependency.DATABASE)
        return not self._down

    def watch(self) -> "asyncio.Task[bool] | None":
        """Have everything that is down checked until it answers, which ends the task with True.

        Returns:
            The task, to be cancelled when the answer no longer matters; None when nothing is known to be down, or a person
            has to mend it.
        """
        if not self._down or any(outage.needs_person for outage in self._down.values()):
            return None
        return asyncio.create_task(self._until_all_answer(tuple(self._down), self._next_recheck_s()))

    def resumed(self) -> None:
        """Everything answers again: the run goes on, with one step of each kind until one has succeeded."""
        self._state.resumed_at, self._state.probing = workflow.now(), True
        self._state.note = _went_on(*self._down)

    def _is_same_outage(self) -> bool:
        resumed_at = self._state.resumed_at
        return resumed_at is not None and workflow.now() - resumed_at < _SAME_OUTAGE

    def _next_recheck_s(self) -> float:
        """Seconds until what is down is checked: ever more of them while it only seems to answer."""
        state, first_s = self._state, self._state.request.windows.outage_recheck_s
        is_same = self._is_same_outage()
        state.recheck_s = min(max(state.recheck_s, first_s) * 2, max(first_s, _RECHECK_MAX_S)) if is_same else first_s
        return state.recheck_s

    async def _until_all_answer(self, dependencies: tuple[Dependency, ...], recheck_s: float) -> bool:
        try:
            await workflow.sleep(recheck_s, summary=f"{' and '.join(dependencies)} down: first check")
            await activity_stubs.check_dependencies(
                DependencyCheckInput(run_id=self._state.request.run_id, dependencies=dependencies)
            )
        except ActivityError as error:
            if not is_cancelled_exception(error):
                # A defect of the check: the question stays open for a person.
                workflow.logger.error("the dependencies cannot be checked", exc_info=error)
            return False
        return True


def _went_on(*dependencies: Dependency) -> str:
    return f"{' and '.join(dependencies)} answered again; the run went on by itself"
