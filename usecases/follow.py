"""Follow a run until it ends or needs a person."""

import asyncio
from collections.abc import AsyncIterator

from runtime.services import Services
from store.runs.runs import RunRow
from usecases.status import RunView, view_run

_INTERVAL_S = 0.5


async def follow_run(services: Services, run: RunRow, answered: str | None = None) -> AsyncIterator[RunView]:
    """Yield views of a run until it ends (its files are stored then) or waits for a person.

    Args:
        answered: id of a question that was just answered. The run may still show it for a moment.
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
    # The workflow stores the files after it has ended the run's row. Wait until the workflow itself is closed.
    description = await services.client.get_workflow_handle(run.workflow_id).describe()
    return description.close_time is not None
