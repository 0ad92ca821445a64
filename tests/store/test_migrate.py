"""Migrations: one command brings any database to the present schema, however often and from wherever it is run (LESSONS F85)."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from urllib.parse import urlsplit

import psycopg
import pytest
import yoyo
from pydantic import SecretStr

from runtime.connection import Endpoints
from runtime.process import UserError
from runtime.services import open_database
from settings import Settings
from store.database import Database, DatabaseUnreachableError
from store.migrate import apply_migrations, pending_migrations
from tests.conftest import PROJECT

TABLES = {
    "runs",
    "search_tasks",
    "company_candidates",
    "company_identities",
    "company_research",
    "contact_candidates",
    "suppression_domains",
    "audit_events",
    "pages",
    "tool_results",
    "agent_turns",
    "run_artifacts",
    "notifications",
}
VIEWS = {
    "v_company_gap",
    "v_contact_gap",
    "v_contact_gap_per_company",
    "v_blocked_domains",
    "v_funnel",
    "v_search_yield",
}
APPLY = "import sys; from store.migrate import apply_migrations; print(*apply_migrations(sys.argv[1]))"


async def test_f85_an_empty_database_gets_every_table_and_view_of_the_design(empty_database_url: str) -> None:
    applied = await asyncio.to_thread(apply_migrations, empty_database_url)

    assert applied == _all_migrations()
    assert _relations(empty_database_url, "r") >= TABLES
    assert _relations(empty_database_url, "v") == VIEWS


async def test_a_second_time_changes_nothing(database_url: str) -> None:
    assert await asyncio.to_thread(apply_migrations, database_url) == []
    assert pending_migrations(database_url) == []


async def test_two_processes_at_once_apply_each_migration_once(empty_database_url: str) -> None:
    command = (sys.executable, "-c", APPLY, empty_database_url)
    both = [await asyncio.create_subprocess_exec(*command, cwd=PROJECT, stdout=PIPE, stderr=PIPE) for _ in range(2)]
    ended = await asyncio.gather(*(process.communicate() for process in both))

    assert [process.returncode for process in both] == [0, 0], ended
    assert sorted(out.decode().split() for out, _ in ended) == [[], _all_migrations()]
    assert _relations(empty_database_url, "r") >= TABLES


async def test_a_database_that_lacks_migrations_is_told_by_their_names(
    empty_database_url: str, plain_environment: None
) -> None:
    assert pending_migrations(empty_database_url) == _all_migrations()
    url = SecretStr(empty_database_url)
    endpoints = Endpoints(temporal_address=None, temporal_ui_url=None, database_url=url)

    with pytest.raises(UserError, match=rf"lacks {_all_migrations()[0]}.*starter\.py setup"):
        async with open_database(Settings(_env_file=None), endpoints):
            pass


async def test_every_migration_can_be_rolled_back_and_applied_again(empty_database_url: str) -> None:
    await asyncio.to_thread(apply_migrations, empty_database_url)

    await asyncio.to_thread(_roll_back_everything, empty_database_url)
    assert _relations(empty_database_url, "r") & TABLES == set()
    assert _relations(empty_database_url, "v") == set()
    assert pending_migrations(empty_database_url) == _all_migrations()

    assert await asyncio.to_thread(apply_migrations, empty_database_url) == _all_migrations()


async def test_a_server_that_does_not_answer_is_an_error_that_says_what_to_do_and_keeps_the_password() -> None:
    nobody = "postgresql://pm:s3cret-word@127.0.0.1:1/pm"
    for look in (apply_migrations, pending_migrations):
        with pytest.raises(DatabaseUnreachableError, match="DATABASE_URL") as caught:
            look(nobody)
        assert "s3cret-word" not in str(caught.value)


async def test_work_on_a_broken_transaction_is_rolled_back_whole(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        async with database.transaction() as conn:
            await conn.execute("INSERT INTO pages (content_hash, body) VALUES ('h', '')")
            await conn.execute("SELECT * FROM no_such_table")
    async with database.transaction() as conn:
        assert await (await conn.execute("SELECT * FROM pages")).fetchall() == []


def _all_migrations() -> list[str]:
    return sorted(path.stem for path in (PROJECT / "store" / "migrations").glob("*.sql") if "rollback" not in path.name)


def _relations(url: str, kind: str) -> set[str]:
    with psycopg.connect(url) as conn:
        rows = conn.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relkind = %s",
            ("pm_pipeline", kind),
        ).fetchall()
    return {row[0] for row in rows}


def _roll_back_everything(url: str) -> None:
    parts = urlsplit(url)
    backend = yoyo.get_backend(f"postgresql+psycopg://{parts.netloc}{parts.path}?schema=pm_pipeline")
    migrations = yoyo.read_migrations(str(PROJECT / "store" / "migrations"))
    with backend.lock():
        backend.rollback_migrations(backend.to_rollback(migrations))
    backend.connection.close()
