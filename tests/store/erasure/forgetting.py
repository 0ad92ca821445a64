"""Look for what is left of somebody, in every column of every table."""

from __future__ import annotations

import re
from pathlib import Path

from psycopg import sql

from store.database import SCHEMA, Connection
from tests.store.whole_run import text_of
from usecases.forget import Forgetting, forget_subject, subject_of

ACME_TRACES = re.compile(r"acme|jane\W{0,3}doe|john\W{0,3}roe|512\W{0,3}555\W{0,2}0142|512555-?0199", re.IGNORECASE)
JANE_TRACES = re.compile(r"jane\W{0,3}doe|512\W{0,3}555\W{0,2}0199", re.IGNORECASE)
BIRCH_TRACES = re.compile(r"birch|ann\W{0,3}poe|512\W{0,3}555\W{0,2}0177", re.IGNORECASE)


async def text_columns(conn: Connection) -> dict[str, list[str]]:
    """Every column that can hold words, by table."""
    cursor = await conn.execute(
        """
        SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position) AS columns
        FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_schema = %s AND table_type = 'BASE TABLE' AND table_name !~ 'yoyo' AND is_generated = 'NEVER'
          AND udt_name ~ '^_?(text|varchar|bpchar|name|citext|json|jsonb|bytea)$'
        GROUP BY 1 ORDER BY 1
        """,
        (SCHEMA,),
    )
    return {row["table_name"]: row["columns"] for row in await cursor.fetchall()}


async def tables_with(conn: Connection, traces: re.Pattern[str]) -> dict[str, list[str]]:
    """The values that hold a trace, by table."""
    found: dict[str, list[str]] = {}
    for table, columns in (await text_columns(conn)).items():
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        cursor = await conn.execute(sql.SQL("SELECT {} FROM {}").format(names, sql.Identifier(table)))
        values = [text_of(value) for row in await cursor.fetchall() for value in row.values()]
        if hits := [value for value in values if traces.search(value)]:
            found[table] = sorted(hits)
    return found


async def forget(conn: Connection, who: str, directory: Path = Path("nowhere"), *, dry_run: bool = False) -> Forgetting:
    return await forget_subject(conn, subject_of(who), directory, dry_run=dry_run)
