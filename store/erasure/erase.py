# ruff: noqa: S608  # statements are built from constants of this module
"""Erase a person or company from the database.

The subject's own rows are deleted. Companies of runs and model turns stay as empty rows, so that counts and costs stay
correct. Other rows that mention the subject are redacted (``columns.py``). The search takes no locks, so runs continue.
"""

import zlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from domain.company.suppression import Suppression
from domain.erasure import MARK, Redactor
from store.companies import suppressions
from store.database import Connection
from store.erasure import forgotten
from store.erasure.columns import REDACTED
from store.erasure.find import Target, find_target, hosts_pattern

SOURCE = "forget"
_BATCH = 200
_LOCK_TIMEOUT = "10s"  # open runs wait for the rows that an erasure holds, so it must not wait long itself
_ARRAYS = frozenset({"aliases", "sources"})  # columns of type text[]; every other list is JSON

Keys = dict[str, list[DictRow]]
"""Primary keys of rows, by table."""


async def suppress(conn: Connection, subject: str) -> Target:
    """Block a subject from being stored or delivered, and return what to erase. Commit before ``search``."""
    await forgotten.lock(conn)  # first, so that find_target sees everything that was stored before
    target = await find_target(conn, subject)
    await forgotten.add(conn, target.digests())
    entries = [Suppression(domain=name, reason="do_not_contact", source=SOURCE) for name in target.traces.domains]
    await suppressions.upsert(conn, entries)
    return target


async def search(conn: Connection, target: Target) -> Keys:
    """Return the keys of all rows that mention the target. Takes no locks."""
    redactor = Redactor(target.traces)
    found: Keys = {}
    for table, (key, _, _) in REDACTED.items():
        async with conn.transaction():
            rows = _read(conn, table)
            found[table] = [
                {name: row[name] for name in key} async for row in rows if _changes(table, row, redactor, target)
            ]
    return found


async def erase(conn: Connection, target: Target, found: Keys) -> Counter[str]:
    """Erase the target's rows, redact the rows that ``search`` found, and tell the runs. Returns changes by table.

    Raises:
        psycopg.errors.LockNotAvailable: another process holds a row for longer than ``_LOCK_TIMEOUT``.
    """
    values = {
        "ids": list(target.company_ids),
        "domains": list(target.traces.domains),
        "hosts": hosts_pattern(target.traces.domains),
        "accounts": list(target.accounts),
        "email": target.subject,
        "people": [f"{domain} {key}" for domain, key in target.person_keys],
        "mark": MARK,
        "runs": [run.run_id for run in target.runs],
        "results": [row["result_id"] for row in found["tool_results"]],
    }
    await conn.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'".encode())
    # Lock the runs: one that ended now would deliver what is erased here. reserve_turn also locks the run before its turns.
    await conn.execute("SELECT 1 FROM runs WHERE run_id = ANY(%(runs)s) ORDER BY run_id FOR NO KEY UPDATE", values)
    await conn.execute(_TELL_RUNS, values)
    changes: Counter[str] = Counter()
    for table, statement in (*_OWN_ROWS, *(_OWN_SITE if target.traces.domains else ())):
        changes[table] += (await conn.execute(statement.encode(), values)).rowcount
    redactor = Redactor(target.traces)
    for table, keys in found.items():
        for key in keys:
            if table == "agent_turns":
                changes[table] += (await conn.execute(_EMPTY_CONVERSATION.encode(), key)).rowcount
            else:
                changes[table] += await _redact_row(conn, table, key, redactor, target)
    return +changes


async def empty_company(conn: Connection, company_id: UUID) -> None:
    """Remove the content of a company's row in a run, and mark the row as suppressed."""
    statement = f"{_EMPTY_COMPANY} AND company_id = %(company_id)s"
    await conn.execute(statement.encode(), {"company_id": company_id, "mark": MARK})


async def _read(conn: Connection, table: str) -> AsyncIterator[DictRow]:
    async with conn.cursor(name="search") as cursor:
        await cursor.execute(_select(table))
        while rows := await cursor.fetchmany(_BATCH):
            for row in rows:
                yield row


async def _redact_row(conn: Connection, table: str, key: DictRow, redactor: Redactor, target: Target) -> int:
    where = sql.SQL(" WHERE {}").format(_equal(key, " AND "))
    # Read the row again with a lock, because it may have changed since the search.
    row = await (await conn.execute(_select(table) + where + sql.SQL(" FOR UPDATE"), key)).fetchone()
    changes = _changes(table, row, redactor, target) if row else None
    if changes is None:
        return 0
    action = sql.SQL("UPDATE {} SET {}").format(sql.Identifier(table), _equal(changes, ", "))
    if REDACTED[table].is_deleted:
        action = sql.SQL("DELETE FROM {}").format(sql.Identifier(table))
    return (await conn.execute(action + where, {**changes, **key})).rowcount


def _select(table: str) -> sql.Composed:
    names = dict.fromkeys([*REDACTED[table].key, *REDACTED[table].columns])
    return sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(table))


def _equal(columns: Iterable[str], separator: str) -> sql.Composed:
    pairs = (sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in columns)
    return sql.SQL(separator).join(pairs)


def _changes(table: str, row: Mapping[str, Any], redactor: Redactor, target: Target) -> dict[str, Any] | None:
    """Return new values for the columns that name the target, or None if no column does."""
    if table == "pages":
        body = zlib.decompress(row["body"]).decode()
        redacted = redactor.redact(body, cited=row["content_hash"] in target.cited)
        return {"body": zlib.compress(redacted.encode(), 6)} if redacted != body else None
    if table == "run_artifacts":
        content, rows = redactor.redact_csv(bytes(row["content"]))
        return {"content": content, "rows": rows} if content != bytes(row["content"]) else None
    before = {name: row[name] for name in REDACTED[table].columns}
    after = redactor.redact(before, cited=row.get("result_id") in target.cited)
    changes: dict[str, Any] = {
        name: value if isinstance(value, str) or name in _ARRAYS else Jsonb(value)
        for name, value in after.items()
        if value != before[name]
    }
    if "candidate_key" in changes:  # must stay unique within a run
        changes["candidate_key"] += f" {row['company_id']}"
    return changes or None


# The run's next suppression check reads these events and takes the companies out of its count.
_TELL_RUNS = """
    INSERT INTO audit_events (event_key, run_id, company_id, event, actor, detail)
    SELECT run_id || '/company_forgotten/' || company_id, run_id, company_id, 'company_forgotten', 'command line',
           jsonb_build_object('was', status)
    FROM company_candidates WHERE company_id = ANY(%(ids)s::uuid[])
    ON CONFLICT (event_key) DO NOTHING
"""
# Includes companies forgotten earlier, because an activity may have stored new data for the empty row.
_COMPANIES = """
    SELECT company_id FROM company_candidates
    WHERE company_id = ANY(%(ids)s::uuid[]) OR candidate_key = 'forgotten:' || company_id
"""
_EMPTY_COMPANY = """
    UPDATE company_candidates
    SET name = %(mark)s, candidate_key = 'forgotten:' || company_id, url = NULL, city = NULL, state = NULL, phone = NULL,
        discovery_source = '', evidence = '{"result_id": "", "url": "", "quote": ""}', domain = NULL, website = NULL,
        aliases = '{}', status = 'suppressed', reason = 'suppressed', reason_detail = 'forgotten', duplicate_of = NULL,
        updated_at = now()
    WHERE (name, candidate_key, domain, status, reason_detail)
          IS DISTINCT FROM (%(mark)s, 'forgotten:' || company_id, NULL, 'suppressed', 'forgotten')
"""
# With a new subject, no retry continues the conversation. With status 'lost', a late answer is not stored.
_EMPTY_TURNS = """
    UPDATE agent_turns
    SET subject = 'forgotten ' || gen_random_uuid(), task = NULL, output = NULL,
        status = CASE WHEN status = 'reserved' THEN 'lost' ELSE status END
"""
# Empty all turns of the conversation, because later turns repeat earlier ones.
_EMPTY_CONVERSATION = f"""{_EMPTY_TURNS}
    WHERE (run_id, subject, role, input_hash) = (%(run_id)s, %(subject)s, %(role)s, %(input_hash)s)"""
_OWN_ROWS = (
    ("runs", "UPDATE runs SET notify_email = NULL WHERE lower(notify_email) = %(email)s"),
    (
        "runs",
        """
        UPDATE runs SET selected = ARRAY(SELECT id FROM unnest(selected) WITH ORDINALITY AS s (id, place)
                                         WHERE NOT id = ANY(%(ids)s::uuid[]) ORDER BY place)
        WHERE selected && %(ids)s::uuid[]
        """,
    ),
    ("company_research", f"DELETE FROM company_research WHERE company_id IN ({_COMPANIES})"),
    ("company_identities", f"DELETE FROM company_identities WHERE company_id IN ({_COMPANIES})"),
    (
        "agent_turns",
        f"""{_EMPTY_TURNS} WHERE EXISTS (SELECT 1 FROM ({_COMPANIES}) AS c
                                         WHERE starts_with(agent_turns.subject, 'company ' || c.company_id || ' '))""",
    ),
    (
        "contact_candidates",
        f"""
        DELETE FROM contact_candidates p
        WHERE company_id IN ({_COMPANIES}) OR lower(person->>'email') = %(email)s
           OR EXISTS (SELECT 1 FROM company_candidates c
                      WHERE c.company_id = p.company_id AND c.domain || ' ' || p.person_key = ANY(%(people)s))
        """,
    ),
    (
        "known_contacts",
        "DELETE FROM known_contacts WHERE domain = ANY(%(domains)s) OR domain || ' ' || person_key = ANY(%(people)s)",
    ),
    (
        "known_companies",
        "DELETE FROM known_companies WHERE domain = ANY(%(domains)s) OR aliases && %(domains)s::text[]",
    ),
    ("rate_limits", "DELETE FROM rate_limits WHERE name = ANY(%(domains)s)"),
    ("pms_subdomains", "DELETE FROM pms_subdomains WHERE vendor || ':' || slug = ANY(%(accounts)s)"),
    ("company_candidates", f"{_EMPTY_COMPANY} AND company_id IN ({_COMPANIES})"),
)
# Results that were read on the subject's own site. They contain its domain, so the search found them.
_OWN_SITE = (
    (
        "tool_results",
        """
        DELETE FROM tool_results
        WHERE result_id = ANY(%(results)s)
          AND EXISTS (SELECT 1 FROM unnest(ARRAY[args->>'url', args->>'host', args->>'domain', args->>'origin',
                                                 payload->>'final_url']) AS u (url) WHERE u.url ~* %(hosts)s)
        """,
    ),
    ("pages", "DELETE FROM pages WHERE NOT EXISTS (SELECT 1 FROM tool_results WHERE page_hash = content_hash)"),
)
