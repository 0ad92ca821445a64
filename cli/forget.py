"""``starter.py forget``: erase a person or company. Needs only the database."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.common import DEFAULT_OUTPUT_DIR, DryRunOption, JsonOption, Output, async_command
from runtime.process import UserError, load_settings
from runtime.services import open_database
from usecases.forget import Forgetting, forget_subject, subject_of


@async_command
async def forget(
    who: Annotated[str, typer.Argument(metavar="EMAIL|DOMAIN", help="A person's address, or a company's own domain.")],
    output_dir: Annotated[Path, typer.Option("--output-dir", help="Directory of exported files.")] = DEFAULT_OUTPUT_DIR,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Erase a person or company everywhere, and never store or deliver them again."""
    out = Output(as_json)
    subject = subject_of(who)
    if output_dir != DEFAULT_OUTPUT_DIR and not output_dir.is_dir():
        raise UserError(f"output-dir {output_dir} is not a directory; nothing was erased")

    async with open_database(load_settings()) as conn:
        if not dry_run and not yes:
            _print(out, await forget_subject(conn, subject, output_dir, dry_run=True))
            if as_json or not sys.stdin.isatty():
                raise UserError(
                    "nothing was erased: add --yes to erase without confirmation, or --dry-run to only look"
                )
            if not typer.confirm("Erase this permanently?"):
                out.print("Nothing was erased.")
                return 0
        done = await forget_subject(conn, subject, output_dir, dry_run=dry_run)
    out.document(done.model_dump(mode="json"))
    _print(out, done)
    return 0


def _print(out: Output, done: Forgetting) -> None:
    would = "would be " if done.dry_run else ""
    if not done.rows and not done.files:
        out.say(f"Nothing is stored about {done.subject}. It {would or 'is '}suppressed.")
        return
    rows = "Rows that mention it" if done.dry_run else "Rows deleted or changed"
    out.say(f"{done.subject}: {would}erased and suppressed. {rows}:")
    for table, count in done.rows.items():
        out.say(f"  {table}: {count}")
    for path in done.files:
        out.say(f"  {path} {would}rewritten")
    if done.runs:
        shorts = ", ".join(str(run.run_id)[:8] for run in done.runs)
        out.say(
            f"Other copies must be deleted by hand: look for companies_, contacts_, evidence_ and rejected_ files of run "
            f"{shorts}, also in sent emails, backups and your CRM."
        )
    if still_open := ", ".join(str(run.run_id)[:8] for run in done.runs if run.is_open):
        out.say(f"Still open: {still_open}. An open run may store more. Repeat this command when it has ended.")
