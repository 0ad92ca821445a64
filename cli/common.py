"""What the commands share: arguments, the console, and how a command runs and ends."""

import asyncio
import functools
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer
from rich.console import Console

CommandP = ParamSpec("CommandP")

LOG_WIDTH = 160  # output that is not a terminal: wide enough for a table to stay readable

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Run id, its first 8 characters, or the workflow id.")]
CompanyArgument = Annotated[str, typer.Argument(metavar="COMPANY", help="Its domain, its full name, or its id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
OutputDirOption = Annotated[Path, typer.Option("--output-dir", help="Where the files are written.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would happen; change nothing.")]
DecidedByOption = Annotated[str, typer.Option(help="Who decides, for the audit trail.")]
NoteOption = Annotated[str, typer.Option(help="Why, for the audit trail.")]

DEFAULT_OUTPUT_DIR = Path("./exports")


def async_command(function: Callable[CommandP, Coroutine[Any, Any, int]]) -> Callable[CommandP, None]:
    """Make a typer command of a coroutine function that returns the exit code."""

    @functools.wraps(function)
    def command(*args: CommandP.args, **kwargs: CommandP.kwargs) -> None:
        raise typer.Exit(asyncio.run(function(*args, **kwargs)))

    return command


def make_console(as_json: bool = False) -> Console:
    """Standard output for people; silent when ``--json`` writes there."""
    return Console(quiet=as_json, width=None if sys.stdout.isatty() else LOG_WIDTH)


def say(console: Console, text: str, style: str = "") -> None:
    """Print text as it is: no markup, no highlighting, no line breaks of ours."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def print_json(document: dict[str, Any]) -> None:
    """Print the one JSON document of a command."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")
