"""Following a run until it ends or needs a person, drawing its progress on the way."""

import asyncio
from collections.abc import Callable

from rich.console import Console
from rich.live import Live

from cli.render import progress_line, progress_panel
from runtime.services import Services
from store.runs import runs
from store.runs.runs import RunRow
from usecases.status import RunView, view_run

_INTERVAL_S = 0.5


async def follow(
    services: Services, run: RunRow, on_view: Callable[[RunView], None], answered: str | None = None
) -> RunView:
    """Look at a run until it has ended (its files are stored by then) or waits for a decision.

    Args:
        answered: id of a question that has just been answered; the run takes a moment to go on.

    Returns:
        The last view.
    """
    while True:
        view = await view_run(services, run)
        on_view(view)
        if view.waits_for_person and view.decision is not None and view.decision.decision_id != answered:
            return view
        if view.has_ended and await _is_closed(services, run):
            return await view_run(services, await runs.get_run(services.conn, run.run_id))
        await asyncio.sleep(_INTERVAL_S)


async def _is_closed(services: Services, run: RunRow) -> bool:
    """Whether the workflow itself is over: the files are rendered after the run's row is final."""
    description = await services.client.get_workflow_handle(run.workflow_id).describe()
    return description.close_time is not None


async def follow_on_console(services: Services, run: RunRow, console: Console, answered: str | None = None) -> RunView:
    """Follow with a live display on a terminal, or with a line per change elsewhere."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=False) as live:
            return await follow(
                services,
                run,
                lambda view: live.update(progress_panel(view, is_demo=services.endpoints.is_demo)),
                answered,
            )
    last = ""

    def print_change(view: RunView) -> None:
        nonlocal last
        key = f"{view.stage}{view.run.status}{view.companies_ready}{view.why_nothing_moves}"
        if key != last:
            suffix = f" · {view.why_nothing_moves}" if view.why_nothing_moves else ""
            console.print(progress_line(view) + suffix, markup=False, highlight=False, soft_wrap=True)
            last = key

    return await follow(services, run, print_change, answered)
