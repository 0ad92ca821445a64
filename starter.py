"""The command line: start and follow runs, answer their questions, export files, and run the local stack.

Exit codes: 0 success, 1 something is missing (doctor) or failed (detect), 2 bad input, 3 waiting for a decision,
4 failed, 5 cancelled, 130 interrupted. With ``--json``, a command prints only one JSON document on standard output.
"""

import asyncio
import contextlib
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

import runtime.packages  # noqa: F401  # first, because it explains missing packages

# isort: split
import tomllib  # after the check, because old Pythons lack it

import typer

from cli.accept import accept
from cli.cancel import cancel
from cli.common import print_json
from cli.detect import detect
from cli.doctor import doctor
from cli.evidence import evidence
from cli.export import export
from cli.forget import forget
from cli.import_ import import_
from cli.list import list_runs
from cli.local import local
from cli.redetect import redetect
from cli.setup import setup
from cli.signal import signal
from cli.start import start
from cli.status import status
from cli.watch import Detached, watch
from runtime.process import UserError, leave
from usecases.api import (
    PipelineError,
    PipelineTimeoutError,
    execute_full_pipeline,
    export_companies_to_csv,
    export_contacts_to_csv,
    export_run_to_files,
    get_run_progress,
    wait_for_stage_completion,
)

__all__ = [
    "PipelineError",
    "PipelineTimeoutError",
    "app",
    "execute_full_pipeline",
    "export_companies_to_csv",
    "export_contacts_to_csv",
    "export_run_to_files",
    "get_run_progress",
    "wait_for_stage_completion",
]

EXIT_INTERRUPTED = 130

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.command()(start)
app.command()(watch)
app.command()(status)
app.command("list")(list_runs)
app.command()(signal)
app.command()(cancel)
app.command()(export)
app.command()(evidence)
app.command()(accept)
app.command("import")(import_)
app.command()(redetect)
app.command()(detect)
app.command()(forget)
app.command()(setup)
app.command()(doctor)
app.command()(local)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        version = metadata.version("pm-pipeline")
    except metadata.PackageNotFoundError:  # the image runs the source without installing it
        project = Path(__file__).with_name("pyproject.toml").read_text(encoding="utf-8")
        version = tomllib.loads(project)["project"]["version"]
    sys.stdout.write(f"{version}\n")
    raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Lists of property management companies and their decision makers, with proof for every cell."""


def main() -> int:
    """Run the command line and return the exit code."""
    try:
        result = app(standalone_mode=False)
    except UserError as error:
        _print_error(str(error))
        return error.exit_code
    except typer.TyperException as error:
        if message := error.format_message():  # empty if typer has printed the help
            _print_error(message)
        return error.exit_code
    except Detached as left:
        sys.stderr.write(f"\n{left}\n")
        return EXIT_INTERRUPTED
    except (typer.Abort, KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("\nInterrupted.\n")
        return EXIT_INTERRUPTED
    return result if isinstance(result, int) else 0


def _print_error(message: str) -> None:
    if "--json" in sys.argv:
        print_json({"error": message})
    else:
        sys.stderr.write(f"error: {message}\n")


if __name__ == "__main__":
    code = 0
    with contextlib.suppress(BrokenPipeError):  # the reader of a pipe may close it early, as `head` does
        code = main()
    leave(code)
