"""Loads companies and search tasks from the store, and starts as many as the windows and the target allow."""

from domain.activity_io import CompanyBatchInput, SearchTaskBatchInput
from workflows import activity_stubs
from workflows.open_work import OpenWork
from workflows.state import QUEUE_MAX, RunState

_TASKS_AT_ONCE = 20


async def load_companies(state: RunState, open_work: OpenWork) -> None:
    """Load newly stored companies until the queue is full."""
    while (open_work.may_have_stored or state.unloaded_companies) and len(state.queue) < QUEUE_MAX:
        open_work.may_have_stored = False
        params = CompanyBatchInput(run_id=state.request.run_id, cursor=state.companies_cursor)
        batch = await activity_stubs.new_companies(params)
        state.companies_cursor, state.unloaded_companies = batch.cursor, batch.remaining
        for ref in batch.companies:
            open_work.company_loaded(ref)


async def reload_tasks(state: RunState) -> None:
    """Load search tasks again from the first open one, so that requeued ones are included."""
    state.tasks, state.tasks_cursor, state.tasks_requeued = [], -1, False
    await _load_tasks(state)


async def start_work(state: RunState, open_work: OpenWork) -> None:
    windows = state.request.windows
    if state.probing:
        windows = windows.model_copy(update={"companies": 1, "discovery": 1})
    while len(open_work.companies) < windows.companies:
        ref = state.next_company(len(open_work.companies))
        if ref is None:
            break
        open_work.start_company(ref)
    while len(open_work.tasks) < windows.discovery:
        if state.tasks_requeued or not state.needs_task(len(open_work.companies)):
            break
        if not state.tasks and state.has_more_tasks:
            await _load_tasks(state)
        if not state.tasks or open_work.must_wait(state.tasks[0]):
            break
        task = state.tasks.pop(0)
        state.tasks_cursor = max(state.tasks_cursor, task.ordinal)
        open_work.start_task(task)


async def _load_tasks(state: RunState) -> None:
    params = SearchTaskBatchInput(
        run_id=state.request.run_id,
        after_ordinal=state.tasks_cursor,
        limit=_TASKS_AT_ONCE,
        exhausted_kinds=state.exhausted_kinds,
    )
    batch = await activity_stubs.next_search_tasks(params)
    state.tasks, state.skipped, state.has_more_tasks = list(batch.tasks), batch.skipped, bool(batch.tasks)
