"""``starter.py forget``: erase a person or company everywhere this installation knows of, and keep them out from then on.

Needs the database alone. The files of earlier exports are rewritten in the directory that is given; which others a person has
to look for, the command says. What is recognised and what stays is in ``domain/forgetting.py`` and ``docs/operations.md``.
"""

import json
import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from store.erasure.sweep import TouchedRows

from cli.common import print_json
from domain.company.excluded_sites import excluded_site_kind
from domain.company.hosts import normalized_host, registrable_domain
from domain.contact.email_address import FREE_MAIL_DOMAINS, clean_email
from domain.forgetting import Redactor
from pms.accounts import is_account_host
from runtime.process import UserError, load_settings, run_async
from runtime.services import open_database
from store.database import Connection
from store.erasure import erase, find
from store.erasure.find import Found, Subject, TouchedRun

EXPORTS = Path("./exports")  # may be missing: nothing was exported then
_OUR_FILES = re.compile(r"(companies|contacts|evidence|rejected)_[0-9a-f]{8}_\d{8}_\d{6}\.(csv|jsonl)")


class Forgetting(BaseModel):
    """What was forgotten, or with ``dry_run`` would be.

    Attributes:
        subject: the address or domain in normal form.
        rows: by table, how many rows were deleted, emptied or changed.
        files: exported files that were rewritten.
        runs: runs that had them; their files may also lie elsewhere.
    """

    model_config = ConfigDict(frozen=True)

    subject: str
    dry_run: bool
    rows: dict[str, int]
    files: tuple[Path, ...]
    runs: tuple[TouchedRun, ...]


def forget_command(
    who: Annotated[str, typer.Argument(metavar="EMAIL|DOMAIN", help="A person's address, or a company's own domain.")],
    output_dir: Annotated[Path, typer.Option("--output-dir", help="Where exported files lie.")] = EXPORTS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be erased; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
    ] = False,
) -> None:
    """Erase a person or company everywhere, and never store or deliver them again."""
    console = Console(quiet=as_json, width=None if sys.stdout.isatty() else 160)
    subject = subject_of(who)
    if output_dir != EXPORTS and not output_dir.is_dir():
        raise UserError(
            f"output-dir {output_dir} is no directory: name the one that exported files lie in; nothing was erased"
        )

    async def work() -> int:
        async with open_database(load_settings()) as conn:
            if not dry_run and not yes:
                _print(console, await forget_subject(conn, subject, output_dir, dry_run=True))
                if as_json or not sys.stdin.isatty():
                    raise UserError("nothing was erased: add --yes to do it without being asked, or --dry-run to look")
                if not typer.confirm("Erase this for good?"):
                    console.print("Nothing was erased.")
                    return 0
            done = await forget_subject(conn, subject, output_dir, dry_run=dry_run)
        if as_json:
            print_json(done.model_dump(mode="json"))
        _print(console, done)
        return 0

    raise typer.Exit(run_async(work()))


def subject_of(text: str) -> Subject:
    """Whom a text names.

    Raises:
        UserError: it is neither an e-mail address nor a domain that is one company's.
    """
    expected = "expected an e-mail address, such as jane@acme.com, or a company's own domain, such as acme.com"
    if "@" in text:
        address = clean_email(text)
        if address is None:
            raise UserError(f"{text!r} is no e-mail address; {expected}")
        return Subject(kind="email", value=address)
    host = normalized_host(text)
    if host is not None and is_account_host(host):
        return Subject(kind="domain", value=host)
    domain = registrable_domain(text)
    if domain is None or "." not in domain:
        raise UserError(f"{text!r} is neither an e-mail address nor a domain; {expected}")
    why = "a free mail service" if domain in FREE_MAIL_DOMAINS else excluded_site_kind(text)
    if why is not None:
        raise UserError(f"{text!r} is a site of many ({why.replace('_', ' ')}); {expected}")
    return Subject(kind="domain", value=domain)


async def forget_subject(conn: Connection, subject: Subject, directory: Path, *, dry_run: bool) -> Forgetting:
    """Suppress and erase a subject, in the database and in the exported files of a directory. Safe to run twice.

    What an earlier command has begun, for whomever, and could not finish is finished with it.

    Args:
        conn: in autocommit. Suppressing is a transaction of its own, before the erasing: nothing comes in meanwhile. Each
            transaction is short, for runs go on.

    Raises:
        UserError: a file cannot be rewritten; the database is done by then, and the command can be run again.
    """
    if dry_run:
        return await _would_forget(conn, subject, directory)
    touched: TouchedRows | None = None
    remembered: set[object] | None = None
    while touched is None:
        async with conn.transaction():
            found = await find.find(conn, subject)
            # Suppressing waits for steps under way, which may store another domain of theirs: it is looked for again, until
            # nobody is found who is not remembered.
            if remembered is not None and remembered >= set(found.digests):
                touched = await erase.begin(conn, found)
        if touched is None:
            async with conn.transaction():
                await erase.suppress(conn, found)
            remembered = (remembered or set()) | set(found.digests)
    files: set[Path] = set()
    erasures = await erase.under_way(conn)
    for erasure in erasures:
        touched.include(await erase.sweep_rest(conn, erasure.found))
        files |= _rewritten(directory, Redactor(erasure.found.traces), dry_run=False)
        await erase.end(conn, erasure.erasure_id)
    return _told(subject, [erasure.found for erasure in erasures], touched, files, dry_run=False)


async def _would_forget(conn: Connection, subject: Subject, directory: Path) -> Forgetting:
    async with conn.transaction():
        await conn.execute("SET TRANSACTION READ ONLY")  # locks no row either: runs go on
        every = [await find.find(conn, subject), *(erasure.found for erasure in await erase.under_way(conn))]
        touched, files = TouchedRows(), set[Path]()
        for found in every:
            touched.include(await erase.would_erase(conn, found))
            files |= _rewritten(directory, Redactor(found.traces), dry_run=True)
    return _told(subject, every, touched, files, dry_run=True)


def _told(subject: Subject, every: list[Found], touched: TouchedRows, files: set[Path], *, dry_run: bool) -> Forgetting:
    runs = {run.run_id: run for found in every for run in found.runs}
    return Forgetting(
        subject=subject.value,
        dry_run=dry_run,
        rows=touched.counts(),
        files=tuple(sorted(files)),
        runs=tuple(runs[run_id] for run_id in sorted(runs)),
    )


def _rewritten(directory: Path, redactor: Redactor, *, dry_run: bool) -> set[Path]:
    """Take them out of the exported files of a directory; which files that concerned."""
    changed: set[Path] = set()
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if not _OUR_FILES.fullmatch(path.name) or not path.is_file():
            continue
        try:
            before = path.read_bytes()
            is_csv = path.suffix == ".csv"
            after = redactor.without_rows(before)[0] if is_csv else redactor.without_lines(before)
            if after == before:
                continue
            changed.add(path)
            if not dry_run:
                part = path.with_name(f"{path.name}.part")
                part.write_bytes(after)
                part.replace(path)
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UserError(f"{path} cannot be rewritten ({error}): look at it, and run the command again") from error
    return changed


def _print(console: Console, done: Forgetting) -> None:
    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    would = "would be " if done.dry_run else ""
    if not done.rows and not done.files:
        say(f"Nothing is stored of {done.subject}; it {would or 'is '}suppressed all the same, from now on.")
        return
    say(f"{done.subject}: {would}erased and suppressed. Rows deleted or changed:")
    for table, rows in done.rows.items():
        say(f"  {table}: {rows}")
    for path in done.files:
        say(f"  {path} {would}rewritten")
    if done.runs:
        shorts = ", ".join(str(run.run_id)[:8] for run in done.runs)
        say(
            f"Files of the run{'s' if len(done.runs) > 1 else ''} {shorts} that lie elsewhere are not known here: look for "
            "companies_, contacts_, evidence_ and rejected_ files with these numbers, also in mail that was sent, in "
            "backups and in the CRM they were loaded into."
        )
    still_open = ", ".join(str(run.run_id)[:8] for run in done.runs if run.is_open)
    if still_open:
        say(
            f"Still open: {still_open}. A step under way may yet write a page or a model's turn: run this again when it is over."
        )
