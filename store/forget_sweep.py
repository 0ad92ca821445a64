"""The walk over every column of every table that takes the traces of somebody who is forgotten out of what is left.

The tables come from the catalogue: one that is added by a later migration is covered without a word here. Most values are
redacted in place, so that what else stands in them (a list page names forty companies) stays provable. Own rules are for pages
(compressed), files of runs, conversations (they cannot be continued with words missing) and what was read on their own site.
"""

import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from psycopg import AsyncCursor, sql
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from domain.forgetting import Redactor, Traces, is_within
from store.database import SCHEMA, Connection

# What keeps them out stays: the lists that the gates read.
_KEPT = ("suppression_domains", "forgotten")
_BATCH = 200


class Table(BaseModel):
    """A table as the catalogue has it: the columns that can hold words, by type, and those that tell a row."""

    model_config = ConfigDict(frozen=True)

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]


async def sweep(conn: Connection, redactor: Redactor, traces: Traces, cited: frozenset[str]) -> dict[str, int]:
    """Take all traces out of all tables; by table, how many rows were changed or deleted.

    Args:
        cited: tool results known to be about them, though they may bear no trace but a common name.
    """
    counts: dict[str, int] = {}
    cursor = await conn.execute(
        "SELECT page_hash FROM tool_results WHERE result_id = ANY(%s) AND page_hash IS NOT NULL", (list(cited),)
    )
    cited |= {row["page_hash"] for row in await cursor.fetchall()}
    for table in await text_tables(conn):
        if table.name not in _KEPT:
            counts[table.name] = await _swept(conn, table, redactor, traces, cited)
    counts["pages"] = counts.get("pages", 0) + await _unused_pages(conn)
    return counts


async def text_tables(conn: Connection) -> list[Table]:
    """Every table of the schema that has a column for words or bytes; the migration tool's own are left out."""
    cursor = await conn.execute(
        """
        SELECT c.table_name AS name, jsonb_object_agg(c.column_name, c.udt_name) AS columns,
               (SELECT array_agg(k.column_name::text ORDER BY k.ordinal_position)
                FROM information_schema.table_constraints t
                JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name)
                WHERE t.table_schema = c.table_schema AND t.table_name = c.table_name
                  AND t.constraint_type = 'PRIMARY KEY') AS key
        FROM information_schema.columns c JOIN information_schema.tables USING (table_schema, table_name)
        WHERE c.table_schema = %s AND table_type = 'BASE TABLE' AND c.is_generated = 'NEVER' AND c.table_name !~ 'yoyo'
          AND c.udt_name IN ('text', 'varchar', 'bpchar', 'name', 'citext', 'json', 'jsonb', 'bytea', '_text', '_varchar')
        GROUP BY c.table_schema, c.table_name ORDER BY c.table_name
        """,
        (SCHEMA,),
    )
    return [Table.model_validate(row) for row in await cursor.fetchall()]


async def _swept(conn: Connection, table: Table, redactor: Redactor, traces: Traces, cited: frozenset[str]) -> int:
    touched = 0
    wanted = sql.SQL(", ").join(map(sql.Identifier, dict.fromkeys([*table.key, *table.columns])))
    where = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in table.key)
    select = sql.SQL("SELECT {} FROM {}").format(wanted, sql.Identifier(table.name))
    async for seen in _rows(conn, select):
        if _changes(table, seen, redactor, traces, cited) is None:
            continue
        # Again, and locked: a run that goes on may have changed it since.
        key = [seen[name] for name in table.key]
        cursor = await conn.execute(sql.SQL("{} WHERE {} FOR UPDATE").format(select, where), key)
        row = await cursor.fetchone()
        changed = _changes(table, row, redactor, traces, cited) if row else None
        if changed is None or row is None:
            continue
        touched += 1
        if table.name == "agent_turns":
            await _empty_conversation(conn, row)
        elif not changed:
            await conn.execute(sql.SQL("DELETE FROM {} WHERE {}").format(sql.Identifier(table.name), where), key)
        else:
            names = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in changed)
            update = sql.SQL("UPDATE {} SET {} WHERE {}").format(sql.Identifier(table.name), names, where)
            await conn.execute(update, [*changed.values(), *key])
    return touched


def _changes(
    table: Table, row: Mapping[str, Any], redactor: Redactor, traces: Traces, cited: frozenset[str]
) -> dict[str, Any] | None:
    """New values for a row's columns; None to leave it, none at all to delete it."""
    if _is_of_their_site(table.name, row, traces):
        return {}
    if table.name == "pages":
        body = zlib.decompress(row["body"]).decode()
        redacted = redactor.redacted(body, beside=row["content_hash"] in cited or redactor.finds(body))
        return {"body": zlib.compress(redacted.encode(), 6)} if redacted != body else None
    if table.name == "run_artifacts":
        content, rows = redactor.without_rows(bytes(row["content"]))
        return {"content": content, "rows": rows} if content != bytes(row["content"]) else None
    values = {name: row[name] for name in table.columns if row[name] is not None}
    if table.name == "agent_turns":
        return {"output": None} if redactor.finds([row["task"], row["output"]]) else None
    beside = row.get("result_id") in cited or any(redactor.finds(_read(value)) for value in values.values())
    changed: dict[str, Any] = {}
    for name, value in values.items():
        redacted = redactor.redacted(_read(value), beside=beside)
        if redacted != _read(value):
            changed[name] = _written(redacted, table.columns[name])
    return changed or None


def _is_of_their_site(table: str, row: Mapping[str, Any], traces: Traces) -> bool:
    """Whether a row is a page of their own site, or a look-up of it."""
    if table == "search_task_pages":
        return is_within(row["url"], traces.domains)
    if table != "tool_results":
        return False
    args, payload = row["args"], row["payload"]
    asked = [args.get(name) for name in ("url", "host", "domain", "origin")]
    read = payload.get("final_url") if isinstance(payload, dict) else None
    return any(is_within(address, traces.domains) for address in (*asked, read) if isinstance(address, str))


def _read(value: Any) -> Any:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | bytearray | memoryview) else value


def _written(value: Any, kind: str) -> Any:
    if kind in {"json", "jsonb"}:
        return Jsonb(value)
    return value.encode() if kind == "bytea" else value


async def _empty_conversation(conn: Connection, row: Mapping[str, Any]) -> None:
    """Take the words out of all turns of a conversation, for later ones hold what earlier ones were told.

    Under another subject it is none any more that a retry would go on with; the row stays for what it has cost.
    """
    await conn.execute(
        """
        UPDATE agent_turns
        SET subject = 'forgotten ' || gen_random_uuid(), task = NULL, output = NULL,
            status = CASE WHEN status = 'reserved' THEN 'lost' ELSE status END
        WHERE (run_id, subject, role, input_hash) = (%(run_id)s, %(subject)s, %(role)s, %(input_hash)s)
        """,
        {name: row[name] for name in ("run_id", "subject", "role", "input_hash")},
    )


async def _unused_pages(conn: Connection) -> int:
    """Delete page bodies that no stored result points at any more."""
    cursor = await conn.execute(
        "DELETE FROM pages p WHERE NOT EXISTS (SELECT 1 FROM tool_results t WHERE t.page_hash = p.content_hash)"
    )
    return cursor.rowcount


async def _rows(conn: Connection, select: sql.Composed) -> AsyncIterator[DictRow]:
    """All rows of a table, a batch in memory at a time."""
    cursor: AsyncCursor[DictRow]
    async with conn.cursor(name="forget_sweep") as cursor:
        await cursor.execute(select)
        while rows := await cursor.fetchmany(_BATCH):
            for row in rows:
                yield row
