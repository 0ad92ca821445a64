"""``starter.py export``: a run's files, any time. Needs the database alone."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.follow import print_json
from runtime.process import load_settings, run_async
from runtime.services import open_database
from usecases.export import export_files
from usecases.find_run import find_run
from usecases.start import check_output_dir


def export_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its first 8 characters, or the workflow id.")],
    output_dir: Annotated[Path, typer.Option("--output-dir", help="Where the files are written.")] = Path("./exports"),
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Also a JSONL file: the words and the page that each cell rests on.")
    ] = False,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Also a CSV file: every company that is not delivered, and why.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
    ] = False,
) -> None:
    """Write a run's two files, any time; those of a run that is not completed are partial."""
    console = Console(quiet=as_json, width=None if sys.stdout.isatty() else 160)
    check_output_dir(output_dir)

    async def work() -> int:
        async with open_database(load_settings()) as conn:
            row = await find_run(conn, run)
            files = await export_files(conn, row, output_dir, evidence=evidence, rejected=rejected)
        if as_json:
            print_json({"run_id": str(row.run_id), **files.model_dump(mode="json")})
        if files.partial:
            console.print(f"PARTIAL: {files.companies} of {row.target_quantity} companies, run is {row.status.value}")
        for name, path in (
            ("Companies CSV", files.companies_csv),
            ("Contacts CSV", files.contacts_csv),
            ("Evidence JSONL", files.evidence_jsonl),
            ("Rejected CSV", files.rejected_csv),
        ):
            if path is not None:
                console.print(f"{name}: {path}", soft_wrap=True, markup=False, highlight=False)
        return 0

    raise typer.Exit(run_async(work()))
