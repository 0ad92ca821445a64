"""The walk over every column of every table that takes the traces of somebody who is forgotten out of what is left.

The tables come from the catalogue: one that is added by a later migration is covered without a word here. Most values are
redacted in place, so that what else stands in them (a list page names forty companies) stays provable. Own rules are for pages
(compressed), files of runs, conversations (they cannot be continued with words missing) and what was read on their own site.

Runs go on meanwhile: a table is read without locks, and each row that holds a trace is changed in a transaction of its own.
"""

import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from psycopg import AsyncCursor, sql
from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from domain.forgetting import Redactor, Traces, is_within
from store.database import SCHEMA, Connection

# What keeps them out stays: the lists that the gates read; and until the walk is over, what it looks for.
_KEPT = ("suppression_domains", "forgotten", "erasures")
_BATCH = 200


class Table(BaseModel):
    """A table as the catalogue has it: the columns that can hold words, by type, and those that tell a row."""

    model_config = ConfigDict(frozen=True)

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]


class TouchedRows:
    """Rows that were deleted or changed, or would be, each once: by table, their primary keys."""

    def __init__(self) -> None:
        self._keys: defaultdict[str, set[tuple[Any, ...]]] = defaultdict(set)

    def add(self, table: str, rows: Iterable[DictRow]) -> None:
        """Rows of a table, as a statement returned their keys."""
        self._keys[table].update(tuple(row.values()) for row in rows)

    def include(self, other: "TouchedRows") -> None:
        """What others have touched."""
        for table, keys in other._keys.items():
            self._keys[table] |= keys

    def has(self, table: str, row: Mapping[str, Any], key: Iterable[str]) -> bool:
        """Whether a row is among them."""
        return tuple(row[name] for name in key) in self._keys[table]

    def counts(self) -> dict[str, int]:
        """By table, how many."""
        return {table: len(keys) for table, keys in sorted(self._keys.items()) if keys}


async def sweep(conn: Connection, redactor: Redactor, traces: Traces, cited: frozenset[str]) -> TouchedRows:
    """Take all traces out of all tables, row by row. ``conn`` is in autocommit.

    Args:
        cited: tool results, and hashes of pages, known to be about them, though they may bear no trace but a common name.
    """
    touched = TouchedRows()
    for table in await _tables_to_sweep(conn):
        if table.name == "pages":
            touched.add(table.name, await (await conn.execute(_DELETE_UNUSED_PAGES)).fetchall())
        async with conn.transaction():
            seen = [row async for row in _rows_with_traces(conn, table, redactor, traces, cited)]
        for key in seen:
            async with conn.transaction():
                touched.add(table.name, await _swept(conn, table, key, redactor, traces, cited))
    return touched


async def would_sweep(
    conn: Connection, redactor: Redactor, traces: Traces, cited: frozenset[str], touched: TouchedRows
) -> None:
    """Add the rows that ``sweep`` would touch to those that are deleted before it. Only reads; needs an open transaction."""
    results: list[str] = []
    for table in await _tables_to_sweep(conn):
        if table.name == "pages":
            touched.add(table.name, await (await conn.execute(_UNUSED_PAGES, {"deleted": results})).fetchall())
        seen = [row async for row in _rows_with_traces(conn, table, redactor, traces, cited, results)]
        if table.name == "agent_turns":
            seen = [row for row in seen if not touched.has(table.name, row, table.key)]
            seen = await _of_their_conversations(conn, table, seen)
        touched.add(table.name, seen)


async def primary_keys(conn: Connection) -> dict[str, tuple[str, ...]]:
    """By table, the columns that tell a row."""
    return {table.name: table.key for table in await text_tables(conn)}


async def _tables_to_sweep(conn: Connection) -> list[Table]:
    """Pages last: those that no result points at any more need no reading."""
    tables = [table for table in await text_tables(conn) if table.name not in _KEPT]
    return sorted(tables, key=lambda table: table.name == "pages")


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


async def _rows_with_traces(
    conn: Connection,
    table: Table,
    redactor: Redactor,
    traces: Traces,
    cited: frozenset[str],
    deleted_results: list[str] | None = None,
) -> AsyncIterator[DictRow]:
    """The keys of the rows that are to be deleted or changed; needs an open transaction.

    Args:
        deleted_results: where the ids of tool results that are to be deleted are added.
    """
    select = sql.SQL("SELECT {} FROM {}").format(_columns(table), sql.Identifier(table.name))
    async for row in _rows(conn, select):
        changed = _changes(table, row, redactor, traces, cited)
        if changed is None:
            continue
        if table.name == "tool_results" and not changed and deleted_results is not None:
            deleted_results.append(row["result_id"])
        yield {name: row[name] for name in table.key}


async def _swept(
    conn: Connection, table: Table, key: DictRow, redactor: Redactor, traces: Traces, cited: frozenset[str]
) -> list[DictRow]:
    """Delete or change a row; the keys of all rows that this has touched."""
    name, values = sql.Identifier(table.name), list(key.values())
    where = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(column)) for column in table.key)
    # Again, and locked: a run that goes on may have changed it since.
    select = sql.SQL("SELECT {} FROM {} WHERE {} FOR UPDATE").format(_columns(table), name, where)
    row = await (await conn.execute(select, values)).fetchone()
    changed = _changes(table, row, redactor, traces, cited) if row else None
    if changed is None or row is None:
        return []
    if table.name == "agent_turns":
        return await _empty_conversation(conn, row)
    if not changed:
        await conn.execute(sql.SQL("DELETE FROM {} WHERE {}").format(name, where), values)
    else:
        new = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(column)) for column in changed)
        update = sql.SQL("UPDATE {} SET {} WHERE {}").format(name, new, where)
        try:
            async with conn.transaction():
                await conn.execute(update, [*changed.values(), *values])
        except UniqueViolation:
            # Of another row nothing but the mark is left in its place either, and who it was is gone from both.
            if not changed.keys() & set(table.key):
                raise
            await conn.execute(sql.SQL("DELETE FROM {} WHERE {}").format(name, where), values)
    return [key]


def _columns(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, dict.fromkeys([*table.key, *table.columns])))


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


async def _empty_conversation(conn: Connection, row: Mapping[str, Any]) -> list[DictRow]:
    """Take the words out of all turns of a conversation, for later ones hold what earlier ones were told; their new keys.

    Under another subject it is none any more that a retry would go on with; the row stays for what it has cost.
    """
    cursor = await conn.execute(
        """
        UPDATE agent_turns
        SET subject = 'forgotten ' || gen_random_uuid(), task = NULL, output = NULL,
            status = CASE WHEN status = 'reserved' THEN 'lost' ELSE status END
        WHERE (run_id, subject, role, input_hash) = (%(run_id)s, %(subject)s, %(role)s, %(input_hash)s)
        RETURNING run_id, subject, role, input_hash, turn
        """,
        {name: row[name] for name in ("run_id", "subject", "role", "input_hash")},
    )
    return await cursor.fetchall()


async def _of_their_conversations(conn: Connection, table: Table, turns: list[DictRow]) -> list[DictRow]:
    """The keys of all turns of the conversations that these turns are of."""
    found: list[DictRow] = []
    select = sql.SQL("SELECT {} FROM agent_turns WHERE (run_id, subject, role, input_hash) = (%s, %s, %s, %s)")
    for conversation in {(turn["run_id"], turn["subject"], turn["role"], turn["input_hash"]) for turn in turns}:
        columns = sql.SQL(", ").join(map(sql.Identifier, table.key))
        found += await (await conn.execute(select.format(columns), conversation)).fetchall()
    return found


# Page bodies that no stored result points at.
_DELETE_UNUSED_PAGES = """
    DELETE FROM pages p WHERE NOT EXISTS (SELECT 1 FROM tool_results t WHERE t.page_hash = p.content_hash)
    RETURNING content_hash
"""
_UNUSED_PAGES = """
    SELECT content_hash FROM pages p
    WHERE NOT EXISTS (SELECT 1 FROM tool_results t
                      WHERE t.page_hash = p.content_hash AND NOT t.result_id = ANY(%(deleted)s::text[]))
"""


async def _rows(conn: Connection, select: sql.Composed) -> AsyncIterator[DictRow]:
    """All rows of a table, a batch in memory at a time."""
    cursor: AsyncCursor[DictRow]
    async with conn.cursor(name="forget_sweep") as cursor:
        await cursor.execute(select)
        while rows := await cursor.fetchmany(_BATCH):
            for row in rows:
                yield row
