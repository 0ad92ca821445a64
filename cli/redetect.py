"""``starter.py redetect``: detect the software of stored companies again."""

from typing import Annotated

import typer

from cli.common import DryRunOption, JsonOption, Output, async_command
from runtime.process import UserError, load_settings
from runtime.services import open_database
from usecases.find import find_run
from usecases.redetect import Redetection, redetect_companies


@async_command
async def redetect(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Run id, its first 8 characters, or the workflow id.")
    ] = None,
    every_run: Annotated[bool, typer.Option("--all", help="Check the companies of every run.")] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Detect the software of stored companies again, from their stored pages. Delivered rows do not change."""
    if (run is None) is not every_run:
        raise UserError("name one run, or use --all for every run")
    out = Output(as_json)
    counts = {"checked": 0, "as_before": 0, "changed": 0, "without_pages": 0}
    found: list[Redetection] = []
    async with open_database(load_settings()) as conn:
        run_id = (await find_run(conn, run)).run_id if run is not None else None
        async for outcome in redetect_companies(conn, run_id, dry_run=dry_run):
            counts["checked"] += 1
            if outcome is None:
                counts["as_before"] += 1
                continue
            counts["changed" if outcome.after is not None else "without_pages"] += 1
            found.append(outcome)
            out.say(outcome.line())
    out.document({"dry_run": dry_run, **counts, "companies": [item.model_dump(mode="json") for item in found]})
    out.say(
        f"{counts['checked']} companies: {counts['as_before']} unchanged, {counts['changed']} changed, "
        f"{counts['without_pages']} without stored pages.{' Nothing was written (--dry-run).' if dry_run else ''}",
    )
    return 0
