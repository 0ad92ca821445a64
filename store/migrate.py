"""Plain SQL migrations, applied by yoyo-migrations (Apache-2.0; plain files, its own lock, psycopg 3)."""

from importlib import resources

import yoyo
from psycopg import OperationalError

from store.database import DatabaseUnreachableError, unreachable_message

_SCHEME = "postgresql+psycopg://"


def apply_migrations(url: str) -> list[str]:
    """Bring a database to the present schema; safe to run at any time, by several processes at once.

    Returns:
        The ids of the migrations that were applied now.

    Raises:
        DatabaseUnreachableError: Postgres does not answer.
    """
    backend, migrations = _open(url)
    try:
        with backend.lock():
            pending = backend.to_apply(migrations)
            backend.apply_migrations(pending)
            return [migration.id for migration in pending]
    finally:
        backend.connection.close()


def pending_migrations(url: str) -> list[str]:
    """The ids of the migrations that a database still lacks.

    Raises:
        DatabaseUnreachableError: Postgres does not answer.
    """
    backend, migrations = _open(url)
    try:
        return [migration.id for migration in backend.to_apply(migrations)]
    finally:
        backend.connection.close()


def _open(url: str) -> tuple[yoyo.backends.DatabaseBackend, yoyo.migrations.MigrationList]:
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            url = _SCHEME + url.removeprefix(scheme)
    try:
        backend = yoyo.get_backend(url)
    except OperationalError as error:
        raise DatabaseUnreachableError(unreachable_message()) from error
    return backend, yoyo.read_migrations(str(resources.files("store") / "migrations"))
