"""``starter.py list``: list the newest runs."""

from typing import Annotated, Any

import typer
from rich.table import Table

from cli.common import JsonOption, Output, async_command
from domain.request.criteria_words import criteria_in_words
from runtime.process import load_settings
from runtime.services import open_database
from store.runs import runs
from store.runs.runs import ListedRun


@async_command
async def list_runs(
    as_json: JsonOption = False, limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many runs.")] = 50
) -> int:
    """List the newest runs."""
    out = Output(as_json)
    async with open_database(load_settings()) as conn:
        rows = await runs.list_runs(conn, limit)
    out.document({"runs": [run_document(row) for row in rows]})
    out.print(runs_table(rows) if rows else "No runs yet. Start one with: python starter.py start --help")
    return 0


def run_document(run: ListedRun) -> dict[str, Any]:
    return {
        "run_id": str(run.run_id),
        "workflow_id": run.workflow_id,
        "status": run.status.value,
        "stage": run.stage.value,
        "target_quantity": run.target_quantity,
        "companies": run.companies_ready,
        "criteria": run.criteria.described(),
        "criteria_asked": run.criteria_asked.described(),
        "created_at": run.created_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "notes": run.notes,
    }


def runs_table(rows: list[ListedRun]) -> Table:
    """Return a table that fits 80 columns. Only the criteria wrap."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("run", "status", "stage", "ready", "UTC"):
        table.add_column(name, no_wrap=True)
    table.add_column("criteria")
    for run in rows:
        table.add_row(
            run.short_id,
            run.status.value,
            run.stage.value,
            f"{run.companies_ready}/{run.target_quantity}",
            f"{run.created_at:%m-%d %H:%M}",
            criteria_in_words(run.criteria),
        )
    return table
