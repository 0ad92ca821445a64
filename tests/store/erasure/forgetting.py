"""How tests look for what is left of somebody, over every column of every table."""

from __future__ import annotations

import re
from pathlib import Path

from psycopg import sql

from cli.forget import Forgetting, forget_subject, subject_of
from store.database import Connection
from store.erasure.sweep import text_tables
from tests.store.whole_run import text_of

ACME_TRACES = re.compile(r"acme|jane\W{0,3}doe|john\W{0,3}roe|512\W{0,3}555\W{0,2}0142|512555-?0199", re.IGNORECASE)
JANE_TRACES = re.compile(r"jane\W{0,3}doe|512\W{0,3}555\W{0,2}0199", re.IGNORECASE)
BIRCH_TRACES = re.compile(r"birch|ann\W{0,3}poe|512\W{0,3}555\W{0,2}0177", re.IGNORECASE)


async def tables_with(conn: Connection, traces: re.Pattern[str]) -> dict[str, list[str]]:
    """By table, the values of every column for words or bytes that hold a trace."""
    found: dict[str, list[str]] = {}
    for table in await text_tables(conn):
        names = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        cursor = await conn.execute(sql.SQL("SELECT {} FROM {}").format(names, sql.Identifier(table.name)))
        values = [text_of(value) for row in await cursor.fetchall() for value in row.values()]
        if hits := [value for value in values if traces.search(value)]:
            found[table.name] = hits
    return found


async def forget(conn: Connection, who: str, directory: Path = Path("nowhere"), *, dry_run: bool = False) -> Forgetting:
    return await forget_subject(conn, subject_of(who), directory, dry_run=dry_run)
