"""``starter.py export``: write a run's files."""

from typing import Annotated

import typer

from cli.common import DEFAULT_OUTPUT_DIR, JsonOption, Output, OutputDirOption, RunArgument, async_command
from runtime.process import load_settings
from runtime.services import open_database
from usecases.export import export_files
from usecases.find import find_run
from usecases.start import check_output_dir


@async_command
async def export(
    run: RunArgument,
    output_dir: OutputDirOption = DEFAULT_OUTPUT_DIR,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Also write a JSONL file with the quote and page behind each cell.")
    ] = False,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Also write a CSV file of the companies that are not delivered, and why.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Write a run's two files. They are partial until the run is completed."""
    out = Output(as_json)
    check_output_dir(output_dir)
    async with open_database(load_settings()) as conn:
        row = await find_run(conn, run)
        files = await export_files(conn, row, output_dir, evidence=evidence, rejected=rejected)
    out.document({"run_id": str(row.run_id), **files.model_dump(mode="json")})
    if files.partial:
        out.print(f"PARTIAL: {files.companies} of {row.target_quantity} companies, run is {row.status.value}")
    for name, path in (
        ("Companies CSV", files.companies_csv),
        ("Contacts CSV", files.contacts_csv),
        ("Evidence JSONL", files.evidence_jsonl),
        ("Rejected CSV", files.rejected_csv),
    ):
        if path is not None:
            out.say(f"{name}: {path}")
    return 0
