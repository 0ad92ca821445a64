"""Follow a run until it ends or needs a person."""

import asyncio
from collections.abc import AsyncIterator

from runtime.services import Services
from store.runs.runs import RunRow
from usecases.status import RunView, view_run

_INTERVAL_S = 0.5


async def follow_run(services: Services, run: RunRow, answered: str | None = None) -> AsyncIterator[RunView]:
    """Yield views of a run. The last one has ended (its files are stored by then) or waits for a decision.

    Args:
        answered: id of a question that has just been answered; the run takes a moment to continue.
    """
    while True:
        view = await view_run(services, run)
        yield view
        if view.waits_for_person and view.decision is not None and view.decision.decision_id != answered:
            return
        if view.has_ended and await _is_closed(services, run):
            yield await view_run(services, run)
            return
        await asyncio.sleep(_INTERVAL_S)


async def _is_closed(services: Services, run: RunRow) -> bool:
    # The files are rendered after the run's row is final, so the workflow itself must be over.
    description = await services.client.get_workflow_handle(run.workflow_id).describe()
    return description.close_time is not None
