"""Arguments, output and the command wrapper that the commands share."""

import asyncio
import functools
import json
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer
from rich.console import Console

CommandP = ParamSpec("CommandP")

LOG_WIDTH = 160  # characters per line if the output is not a terminal
DEFAULT_OUTPUT_DIR = Path("./exports")

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Run id, its first 8 characters, or the workflow id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
OutputDirOption = Annotated[Path, typer.Option("--output-dir", help="Where the files are written.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would happen; change nothing.")]
DecidedByOption = Annotated[str, typer.Option(help="Who decides, for the audit trail.")]
NoteOption = Annotated[str, typer.Option(help="Why, for the audit trail.")]


def async_command(function: Callable[CommandP, Coroutine[Any, Any, int]]) -> Callable[CommandP, None]:
    """Turn a coroutine function that returns the exit code into a typer command."""

    @functools.wraps(function)
    def command(*args: CommandP.args, **kwargs: CommandP.kwargs) -> None:
        raise typer.Exit(asyncio.run(function(*args, **kwargs)))

    return command


class Output(Console):
    """Standard output: text for people, or one document with ``--json``."""

    def __init__(self, as_json: bool = False, **options: Any) -> None:
        super().__init__(
            **{"quiet": as_json, "width": None if sys.stdout.isatty() or "COLUMNS" in os.environ else LOG_WIDTH}
            | options
        )

    def say(self, text: str, style: str = "") -> None:
        """Print text without markup, highlighting or line breaks."""
        self.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def document(self, document: dict[str, Any]) -> None:
        if self.quiet:
            print_json(document)


def print_json(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")
