"""Plain SQL migrations, applied by yoyo-migrations."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg

from store.database import SCHEMA, DatabaseUnreachableError, DatabaseVersionError, unreachable_message

if TYPE_CHECKING:
    import yoyo

_MIGRATIONS = resources.files("store") / "migrations"


def apply_migrations(url: str) -> list[str]:
    """Apply the pending migrations and return their ids. Idempotent, also in several processes at once.

    Raises:
        DatabaseUnreachableError: Postgres does not answer.
        DatabaseVersionError: the database has migrations that this version does not know.
    """
    with _connected(url) as conn:
        # Two concurrent first starts can collide despite IF NOT EXISTS.
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('pm_pipeline migrations', 0))")
        conn.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        _pending(conn)  # refuse a database of another version before yoyo changes it
    import yoyo  # slow to import, and few commands apply migrations

    with _backend(url) as backend, backend.lock():
        pending = backend.to_apply(yoyo.read_migrations(str(_MIGRATIONS)))
        backend.apply_migrations(pending)
        return [migration.id for migration in pending]


def pending_migrations(url: str) -> list[str]:
    """Return the ids of the migrations that the database does not have yet.

    Raises:
        DatabaseUnreachableError: Postgres does not answer.
        DatabaseVersionError: the database has migrations that this version does not know.
    """
    with _connected(url) as conn:
        return _pending(conn)


def _pending(conn: psycopg.Connection) -> list[str]:
    names = (file.name for file in _MIGRATIONS.iterdir())
    known = {name.removesuffix(".sql") for name in names if name.endswith(".sql")}
    applied: set[str] = set()
    if conn.execute("SELECT to_regclass(%s)", (f"{SCHEMA}._yoyo_migration",)).fetchone() != (None,):
        rows = conn.execute(f"SELECT migration_id FROM {SCHEMA}._yoyo_migration")  # noqa: S608
        applied = {migration for (migration,) in rows}
    if unknown := sorted(applied - known):
        raise DatabaseVersionError(
            f"the database was made by another version (it has the migrations {', '.join(unknown)}): use an empty database"
        )
    return sorted(known - applied)


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    try:
        conn = psycopg.connect(url, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise DatabaseUnreachableError(unreachable_message()) from error
    with conn:
        yield conn


@contextmanager
def _backend(url: str) -> Iterator["yoyo.backends.DatabaseBackend"]:
    """Open yoyo's own connection. The search path puts its tables in our schema."""
    import yoyo

    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query), ("schema", SCHEMA)])
    backend = yoyo.get_backend(urlunsplit(("postgresql+psycopg", parts.netloc, parts.path, query, "")))
    try:
        yield backend
    finally:
        backend.connection.close()
