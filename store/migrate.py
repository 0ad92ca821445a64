"""Plain SQL migrations, applied by yoyo-migrations (Apache-2.0; plain files, its own lock, psycopg 3)."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg

from store.database import SCHEMA, DatabaseUnreachableError, unreachable_message

if TYPE_CHECKING:
    import yoyo

_MIGRATIONS = resources.files("store") / "migrations"


def apply_migrations(url: str) -> list[str]:
    """Bring a database to the present schema; safe to run at any time, by several processes at once.

    Args:
        url: ``postgresql://…``

    Returns:
        The ids of the migrations that were applied now.

    Raises:
        DatabaseUnreachableError: Postgres does not answer.
    """
    with _connected(url) as conn:
        # Two first starts at once: IF NOT EXISTS alone can still collide, the lock cannot.
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('pm_pipeline migrations', 0))")
        conn.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    import yoyo  # here and below: every command looks for pending migrations, few apply any

    with _backend(url) as backend, backend.lock():
        pending = backend.to_apply(yoyo.read_migrations(str(_MIGRATIONS)))
        backend.apply_migrations(pending)
        return [migration.id for migration in pending]


def pending_migrations(url: str) -> list[str]:
    """The ids of the migrations that a database still lacks.

    Raises:
        DatabaseUnreachableError: Postgres does not answer.
    """
    migrations = _migration_ids()
    with _connected(url) as conn:
        found = conn.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{SCHEMA}._yoyo_migration",)).fetchone()
        if found is None or not found[0]:
            return migrations
        rows = conn.execute(f"SELECT migration_id FROM {SCHEMA}._yoyo_migration").fetchall()  # noqa: S608  # a constant
    applied = {row[0] for row in rows}
    return [migration for migration in migrations if migration not in applied]


def _migration_ids() -> list[str]:
    names = (file.name for file in _MIGRATIONS.iterdir())
    return sorted(name.removesuffix(".sql") for name in names if name.endswith(".sql") and ".rollback." not in name)


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
    """yoyo's own connection, with our schema as the search path (its tables live there too)."""
    import yoyo

    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query), ("schema", SCHEMA)])
    backend = yoyo.get_backend(urlunsplit(("postgresql+psycopg", parts.netloc, parts.path, query, "")))
    try:
        yield backend
    finally:
        backend.connection.close()
