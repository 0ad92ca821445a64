"""Erase a person or company everywhere in this installation, and block them from then on (docs/operations.md)."""

import json
import re
from collections import Counter
from pathlib import Path

from psycopg.errors import DeadlockDetected, LockNotAvailable
from pydantic import BaseModel, ConfigDict

from domain.company.excluded_sites import excluded_site_kind
from domain.company.hosts import normalized_host, registrable_domain
from domain.contact.email_address import FREE_MAIL_DOMAINS, clean_email
from domain.erasure import Redactor
from pms.accounts import is_account_host
from runtime.process import UserError
from store.database import Connection
from store.erasure.erase import erase, search, suppress
from store.erasure.find import TouchedRun, find_target

_ROUNDS = 10
_OUR_FILES = re.compile(r"(companies|contacts|evidence|rejected)_[0-9a-f]{8}_\d{8}_\d{6}\.(csv|jsonl)")


class Forgetting(BaseModel):
    """What was erased, or would be with ``dry_run``.

    Attributes:
        rows: deleted or changed rows, by table. With ``dry_run``, rows that name the subject.
        files: exported files that were rewritten.
        runs: runs that contained the subject. Copies of their files may be elsewhere.
    """

    model_config = ConfigDict(frozen=True)

    subject: str
    dry_run: bool
    rows: dict[str, int]
    files: tuple[Path, ...]
    runs: tuple[TouchedRun, ...]


def subject_of(text: str) -> str:
    """Return the email address, domain or portal host in a text, normalized.

    Raises:
        UserError: it is neither an email address nor a company's own domain.
    """
    expected = "expected an email address, such as jane@acme.com, or a company's own domain, such as acme.com"
    if "@" in text:
        address = clean_email(text)
        if address is None:
            raise UserError(f"{text!r} is not a valid email address; {expected}")
        return address
    host = normalized_host(text)
    if host is not None and is_account_host(host):
        return host
    domain = registrable_domain(text)
    if domain is None or "." not in domain:
        raise UserError(f"{text!r} is neither an email address nor a domain; {expected}")
    why = "a free mail service" if domain in FREE_MAIL_DOMAINS else excluded_site_kind(text)
    if why is not None:
        raise UserError(f"{text!r} is a shared domain ({why.replace('_', ' ')}); {expected}")
    return domain


async def forget_subject(conn: Connection, subject: str, directory: Path, *, dry_run: bool) -> Forgetting:
    """Suppress and erase a subject in the database and in a directory's exported files. Idempotent.

    A dry run only reads: it locks no row and suppresses nobody.

    Args:
        conn: in autocommit.

    Raises:
        UserError: a file cannot be rewritten, rows are locked, or runs store more. The subject is suppressed then.
    """
    if dry_run:
        return await _dry_run(conn, subject, directory)
    async with conn.transaction():
        target = await suppress(conn, subject)
    found = await search(conn, target)
    files = _rewrite_files(directory, Redactor(target.traces), dry_run=False)  # before the names are erased
    changes: Counter[str] = Counter()
    # A run may store more between the search and the erasure. Only this target still knows the erased names.
    for _ in range(_ROUNDS):
        try:
            async with conn.transaction():
                changes += await erase(conn, target, found)
            is_erased = True
        except (LockNotAvailable, DeadlockDetected):
            is_erased = False
        found = await search(conn, target)
        if is_erased and not any(found.values()):
            files += _rewrite_files(directory, Redactor(target.traces), dry_run=False)  # written since the first time
            rows = dict(sorted(changes.items()))
            return Forgetting(
                subject=subject, dry_run=False, rows=rows, files=tuple(sorted({*files})), runs=target.runs
            )
    raise UserError(
        f"{subject} is suppressed, but not everything is erased: other processes lock its rows or store more. "
        "Run the command again. If this repeats, stop the workers first."
    )


async def _dry_run(conn: Connection, subject: str, directory: Path) -> Forgetting:
    async with conn.transaction():
        await conn.execute("SET TRANSACTION READ ONLY")
        target = await find_target(conn, subject)
        found = await search(conn, target)
    files = _rewrite_files(directory, Redactor(target.traces), dry_run=True)
    rows = {table: len(keys) for table, keys in sorted(found.items()) if keys}
    return Forgetting(subject=subject, dry_run=True, rows=rows, files=files, runs=target.runs)


def _rewrite_files(directory: Path, redactor: Redactor, *, dry_run: bool) -> tuple[Path, ...]:
    """Redact a directory's exported files. Returns those that change."""
    changed = []
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if not _OUR_FILES.fullmatch(path.name) or not path.is_file():
            continue
        try:
            before = path.read_bytes()
            after = redactor.redact_csv(before)[0] if path.suffix == ".csv" else redactor.redact_json_lines(before)
            if after == before:
                continue
            changed.append(path)
            if not dry_run:
                part = path.with_name(f"{path.name}.part")
                part.write_bytes(after)
                part.replace(path)
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UserError(f"{path} cannot be rewritten ({error}). Check it and run the command again.") from error
    return tuple(changed)
