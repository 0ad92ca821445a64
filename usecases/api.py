"""The pipeline as a Python API. Importing it starts nothing.

Each function connects, works and disconnects. All raise ``UserError`` for bad input or an unreachable server. They cannot
be called from a running event loop.
"""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from domain.request.decision import DecisionReason
from domain.request.progress import RunStatus, Stage
from domain.request.run_request import OnDecision
from runtime.process import UserError, load_settings, run_async
from runtime.services import Services, open_services
from store.runs import runs
from store.runs.runs import RunRow
from usecases.export import export_files, rendered_files, write_files
from usecases.find import find_run
from usecases.follow import follow_run
from usecases.start import StartOptions, build_request, check_output_dir, start_run
from usecases.status import RunView, progress_counts, view_run

ResultT = TypeVar("ResultT")

_STAGES = list(Stage)


class PipelineError(Exception):
    """The run failed, was cancelled, or needs a decision that the request did not answer in advance."""


class PipelineTimeoutError(PipelineError):
    """A stage took too long. The run continues, or waits for a decision."""


def execute_full_pipeline(
    criteria: dict[str, Any],
    target_quantity: int,
    contacts_min: int = 1,
    contacts_max: int = 3,
    output_dir: str | Path = "./exports",
    timeout_per_stage: int = 3600,
    notify_email: str | None = None,
) -> tuple[str, str, str]:
    """Start a run, wait until it ends, and write its files.

    Returns:
        Run id, path of the companies CSV, path of the contacts CSV.

    Raises:
        UserError: the request is not valid, or a server does not answer. No run was started.
        PipelineTimeoutError: a stage took more than ``timeout_per_stage`` seconds.
        PipelineError: the run failed, was cancelled or needs a decision.
    """
    options = StartOptions(
        criteria=criteria,
        quantity=target_quantity,
        contacts_min=contacts_min,
        contacts_max=contacts_max,
        stage_timeout_s=timeout_per_stage,
        notify_email=notify_email,
        on_decision=OnDecision.WAIT,
    )

    async def work(services: Services) -> tuple[str, str, str]:
        request = build_request(options, services.settings)
        check_output_dir(Path(output_dir))
        await start_run(services, request, notify_email)
        run = await runs.get_run(services.conn, request.run_id)
        await _wait(services, run)
        files = await export_files(services.conn, await runs.get_run(services.conn, run.run_id), Path(output_dir))
        return str(run.run_id), str(files.companies_csv), str(files.contacts_csv)

    return _run(work)


def wait_for_stage_completion(run_id: str, expected_stage: str, timeout: float) -> None:
    """Wait until a run has passed a stage. For ``done``, wait until the run is completed.

    Raises:
        UserError: there is no such run or stage.
        PipelineTimeoutError: the run did not pass the stage within ``timeout`` seconds.
        PipelineError: the run failed, was cancelled or needs a decision.
    """
    if expected_stage not in _STAGES:
        raise UserError(f"unknown stage {expected_stage!r}: one of {', '.join(_STAGES)}")
    position = _STAGES.index(Stage(expected_stage))

    def passed(view: RunView) -> bool:
        return view.run.status is RunStatus.COMPLETED or _STAGES.index(view.stage) > position

    async def work(services: Services) -> None:
        await _wait(services, await find_run(services.conn, run_id), passed, timeout)

    _run(work)


def get_run_progress(run_id: str) -> dict[str, Any]:
    """Return a run's state. ``companies`` and ``contacts`` each contain ``ready``, ``gap`` and ``progress_pct``."""

    async def work(services: Services) -> dict[str, Any]:
        view = await view_run(services, await find_run(services.conn, run_id))
        run = view.run
        return {
            "run_id": str(run.run_id),
            "stage": view.stage.value,
            "status": run.status.value,
            "criteria": run.criteria.described(),
            "companies": progress_counts(view.companies_ready, run.target_quantity),
            "contacts": progress_counts(view.contacts_ready, run.target_quantity * run.contacts_min),
            "created_at": run.created_at.isoformat(),
            "notes": run.notes,
        }

    return _run(work)


def export_companies_to_csv(run_id: str, output_dir: str | Path) -> str:
    """Write a run's companies file. Returns its path."""
    return _export_one(run_id, output_dir, 0)


def export_contacts_to_csv(run_id: str, output_dir: str | Path) -> str:
    """Write a run's contacts file. Returns its path."""
    return _export_one(run_id, output_dir, 1)


def export_run_to_files(run_id: str, output_dir: str | Path) -> tuple[str, str]:
    """Write both files of a run, or none. Returns their paths."""

    async def work(services: Services) -> tuple[str, str]:
        files = await export_files(services.conn, await find_run(services.conn, run_id), Path(output_dir))
        return str(files.companies_csv), str(files.contacts_csv)

    return _run(work)


def _export_one(run_id: str, output_dir: str | Path, index: int) -> str:
    async def work(services: Services) -> str:
        file = (await rendered_files(services.conn, await find_run(services.conn, run_id)))[:2][index]
        write_files(Path(output_dir), file)
        return str(Path(output_dir) / file.name)

    return _run(work)


def _run(work: Callable[[Services], Awaitable[ResultT]]) -> ResultT:
    async def connected() -> ResultT:
        async with open_services(load_settings()) as services:
            return await work(services)

    return run_async(connected())


async def _wait(
    services: Services,
    run: RunRow,
    passed: Callable[[RunView], bool] = lambda _: False,
    timeout_s: float = float("inf"),
) -> None:
    """Wait until ``passed`` is true for a view of the run, or the run is completed and its files are stored."""
    name, deadline = f"run {run.run_id}", time.monotonic() + timeout_s
    async for view in follow_run(services, run):
        if passed(view):
            return
        if not view.waits_for_person and not view.has_ended and time.monotonic() >= deadline:
            raise PipelineTimeoutError(
                f"{name} is still in {view.stage.value} after {timeout_s:g} seconds; it continues"
            )
    if view.waits_for_person and view.decision is not None:
        if view.decision.reason is DecisionReason.STAGE_TIMEOUT:
            raise PipelineTimeoutError(f"{name}: {view.decision.message} It waits for a decision.")
        raise PipelineError(f"{name} needs a decision ({view.decision.reason.value}): {view.decision.message}")
    if view.run.status is not RunStatus.COMPLETED:
        raise PipelineError(f"{name} ended as {view.run.status.value}: {view.run.notes}")
