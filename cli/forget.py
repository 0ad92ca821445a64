"""``starter.py forget``: erase a person or company. Needs only the database."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.common import print_json
from runtime.process import UserError, load_settings, run_async
from runtime.services import open_database
from usecases.forget import Forgetting, forget_subject, subject_of

_EXPORTS = Path("./exports")  # may be missing if nothing was exported


def forget_command(
    who: Annotated[str, typer.Argument(metavar="EMAIL|DOMAIN", help="A person's address, or a company's own domain.")],
    output_dir: Annotated[Path, typer.Option("--output-dir", help="Directory of exported files.")] = _EXPORTS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be erased; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
    ] = False,
) -> None:
    """Erase a person or company everywhere, and never store or deliver them again."""
    console = Console(quiet=as_json, width=None if sys.stdout.isatty() else 160)
    subject = subject_of(who)
    if output_dir != _EXPORTS and not output_dir.is_dir():
        raise UserError(f"output-dir {output_dir} is not a directory; nothing was erased")

    async def work() -> int:
        async with open_database(load_settings()) as conn:
            if not dry_run and not yes:
                _print(console, await forget_subject(conn, subject, output_dir, dry_run=True))
                if as_json or not sys.stdin.isatty():
                    raise UserError("nothing was erased: add --yes to erase without a question, or --dry-run to look")
                if not typer.confirm("Erase this for good?"):
                    console.print("Nothing was erased.")
                    return 0
            done = await forget_subject(conn, subject, output_dir, dry_run=dry_run)
        if as_json:
            print_json(done.model_dump(mode="json"))
        _print(console, done)
        return 0

    raise typer.Exit(run_async(work()))


def _print(console: Console, done: Forgetting) -> None:
    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    would = "would be " if done.dry_run else ""
    if not done.rows and not done.files:
        say(f"Nothing is stored about {done.subject}. It {would or 'is '}suppressed from now on.")
        return
    say(f"{done.subject}: {would}erased and suppressed. Rows deleted or changed:")
    for table, rows in done.rows.items():
        say(f"  {table}: {rows}")
    for path in done.files:
        say(f"  {path} {would}rewritten")
    if done.runs:
        shorts = ", ".join(str(run.run_id)[:8] for run in done.runs)
        say(
            f"Other copies are not known here. Look for companies_, contacts_, evidence_ and rejected_ files of run {shorts}, "
            "also in mail that was sent, in backups and in your CRM."
        )
    if still_open := ", ".join(str(run.run_id)[:8] for run in done.runs if run.is_open):
        say(f"Still open: {still_open}. It may yet store a page or a model turn. Run this again when it has ended.")
