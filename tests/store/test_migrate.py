"""Migrations bring any database to the current schema, however often and by however many processes they are run."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE

import psycopg
import pytest
from pydantic import SecretStr

from runtime.connection import Endpoints
from runtime.process import UserError
from runtime.services import open_database
from runtime.worker import open_activities
from settings import Settings
from store.database import Database, DatabaseUnreachableError, DatabaseVersionError
from store.migrate import apply_migrations, pending_migrations
from tests.conftest import PROJECT
from usecases.doctor import examine, set_up

# Names that people query.
TABLES = {
    "runs",
    "search_tasks",
    "company_candidates",
    "company_research",
    "contact_candidates",
    "suppression_domains",
    "audit_events",
    "pages",
    "tool_results",
    "agent_turns",
    "pms_subdomains",
    "known_companies",
    "known_contacts",
    "run_artifacts",
}
VIEWS = {
    "v_company_gap",
    "v_contact_gap",
    "v_contact_gap_per_company",
    "v_blocked_domains",
    "v_funnel",
    "v_search_yield",
}
MIGRATIONS = sorted(path.stem for path in (PROJECT / "store" / "migrations").glob("*.sql"))
APPLY = "import sys; from store.migrate import apply_migrations; print(*apply_migrations(sys.argv[1]))"


async def test_concurrent_first_runs_apply_each_migration_once(empty_database_url: str) -> None:
    command = (sys.executable, "-c", APPLY, empty_database_url)
    both = [await asyncio.create_subprocess_exec(*command, cwd=PROJECT, stdout=PIPE, stderr=PIPE) for _ in range(2)]
    ended = await asyncio.gather(*(process.communicate() for process in both))

    assert [process.returncode for process in both] == [0, 0], ended
    assert sorted(out.decode().split() for out, _ in ended) == [[], MIGRATIONS]
    assert _relations(empty_database_url, "r") >= TABLES
    assert _relations(empty_database_url, "v") == VIEWS


async def test_a_second_run_changes_nothing(database_url: str) -> None:
    assert await asyncio.to_thread(apply_migrations, database_url) == []
    assert pending_migrations(database_url) == []


async def test_commands_name_the_missing_migrations(empty_database_url: str, plain_environment: None) -> None:
    assert pending_migrations(empty_database_url) == MIGRATIONS
    url = SecretStr(empty_database_url)
    endpoints = Endpoints(temporal_address=None, temporal_ui_url=None, database_url=url)

    with pytest.raises(UserError, match=rf"lacks {MIGRATIONS[0]}.*starter\.py setup"):
        async with open_database(Settings(_env_file=None), endpoints):
            pass


async def test_a_database_of_another_version_is_refused(
    empty_database_url: str, plain_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(apply_migrations, empty_database_url)
    with psycopg.connect(empty_database_url) as conn:
        conn.execute(
            "INSERT INTO pm_pipeline._yoyo_migration (migration_hash, migration_id) VALUES ('h', '0002_seeds')"
        )
    refused = r"another version .*0002_seeds.*: use an empty database"
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    settings = Settings(_env_file=None)

    for call in (apply_migrations, pending_migrations):
        with pytest.raises(DatabaseVersionError, match=refused):
            call(empty_database_url)
    with pytest.raises(UserError, match=refused):
        await set_up(settings)
    for opened in (open_database(settings), open_activities(settings, empty_database_url)):
        with pytest.raises(UserError, match=refused):
            async with opened:
                pass
    [database] = [finding for finding in await examine(settings) if finding.part == "database"]
    assert not database.ok
    assert re.search(refused, database.detail)


@pytest.mark.parametrize("call", [apply_migrations, pending_migrations])
def test_an_unreachable_server_is_explained_without_password(call: object) -> None:
    assert callable(call)
    with pytest.raises(DatabaseUnreachableError, match="DATABASE_URL") as caught:
        call("postgresql://pm:s3cret-word@127.0.0.1:1/pm")
    assert "s3cret-word" not in str(caught.value)


async def test_a_failed_transaction_is_rolled_back_whole(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        async with database.transaction() as conn:
            await conn.execute("INSERT INTO pages (content_hash, body) VALUES ('h', '')")
            await conn.execute("SELECT * FROM no_such_table")
    async with database.transaction() as conn:
        assert await (await conn.execute("SELECT * FROM pages")).fetchall() == []


def _relations(url: str, kind: str) -> set[str]:
    with psycopg.connect(url) as conn:
        rows = conn.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relkind = %s",
            ("pm_pipeline", kind),
        ).fetchall()
    return {row[0] for row in rows}
