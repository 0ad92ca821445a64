"""The backup commands in docs/operations.md."""

from __future__ import annotations

import re
from asyncio import subprocess
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from local.postgres_home import postgres_programs
from store.database import SCHEMA, one_connection
from store.migrate import apply_migrations, pending_migrations
from store.runs import runs
from tests.conftest import PROJECT
from tests.store.test_migrate import VIEWS
from tests.store.whole_run import add_whole_run
from usecases.export import rendered_files

NOT_KEPT = {"tool_calls_in_flight", "rate_limits"}  # unlogged: who asks right now, and when a site may be asked again


def commands() -> list[list[str]]:
    """The two commands as the document shows them."""
    text = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.findall(r"^pg_(?:dump|restore) .*$", text, re.MULTILINE)
    return [command.split() for command in found]


async def run(words: Sequence[str], url: str, cwd: Any) -> None:
    """Run one of them on a database."""
    [binary, *options] = [url if word == '"$DATABASE_URL"' else word for word in words]
    process = await subprocess.create_subprocess_exec(
        str(postgres_programs() / binary), *options, cwd=cwd, stderr=subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


def contents(url: str) -> dict[str, list[str]]:
    """The rows of every table and view, the migration tool's own tables included."""
    found: dict[str, list[str]] = {}
    with psycopg.connect(url, row_factory=dict_row) as conn:
        names = conn.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (SCHEMA,))
        for name in sorted(row["table_name"] for row in names.fetchall()):
            rows = conn.execute(
                sql.SQL("SELECT to_jsonb(t)::text AS row FROM {} AS t").format(sql.Identifier(SCHEMA, name))
            )
            found[name] = sorted(row["row"] for row in rows.fetchall())
    return found


async def test_a_restored_dump_has_every_row_and_is_usable(
    database_url: str, empty_database_url: str, tmp_path: Any
) -> None:
    async with one_connection(database_url) as conn, conn.transaction():
        whole = await add_whole_run(conn)
    before = contents(database_url)
    [dump, restore] = commands()

    await run(dump, database_url, tmp_path)
    await run(restore, empty_database_url, tmp_path)

    after = contents(empty_database_url)
    assert after.keys() == before.keys() >= VIEWS
    assert {name for name in before if before[name] and not after[name]} <= NOT_KEPT
    assert {name: rows for name, rows in after.items() if name not in NOT_KEPT} == {
        name: rows for name, rows in before.items() if name not in NOT_KEPT
    }
    assert pending_migrations(empty_database_url) == []
    assert apply_migrations(empty_database_url) == []
    files = []
    for url in (database_url, empty_database_url):
        async with one_connection(url) as conn:
            await conn.set_autocommit(True)
            files.append(await rendered_files(conn, await runs.get_run(conn, whole.request.run_id)))
    assert files[0] == files[1]
    async with one_connection(empty_database_url) as conn, conn.transaction():
        await add_whole_run(conn)  # counters go on behind what was restored


@pytest.mark.parametrize("words", ["--no-unlogged-table-data", "--format=custom"], ids=["unlogged", "format"])
def test_the_documented_dump_is_complete(words: str) -> None:
    assert words in commands()[0]
