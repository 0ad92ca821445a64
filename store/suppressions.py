"""Who must never be delivered. Table ``suppression_domains``; one list, read by one gate (DOMAIN, "Suppression").

Entries come in by one way, whether a few or a million: they are staged in a temporary table, and merged from there. The caller's
transaction holds both, so the gate sees the list before an import or after it, never half of it.
"""

from collections.abc import Iterable, Sequence

from domain.identity import comparable_name
from domain.imports.rows import ListedRow
from domain.suppression import Suppression, SuppressionReason
from store.database import Connection
from store.imported import ImportCounts

__all__ = ["Suppression", "SuppressionReason", "find_match", "merge_staged", "stage", "upsert"]


async def upsert(conn: Connection, entries: Iterable[Suppression]) -> int:
    """Add entries; one that is already listed is updated. Returns how many were given. Needs an open transaction."""
    count = await stage(conn, [ListedRow(entries=(entry,)) for entry in entries])
    await merge_staged(conn)
    return count


async def stage(conn: Connection, rows: Iterable[ListedRow]) -> int:
    """Put rows aside, in a stream, until ``merge_staged`` or the end of the transaction. Returns how many entries they hold.

    Whatever ``rows`` raises while it is read reaches the caller; the transaction is then to be rolled back.
    """
    await conn.execute("DROP TABLE IF EXISTS pg_temp.staged_suppressions")
    await conn.execute(
        """
        CREATE TEMPORARY TABLE staged_suppressions (
            ordinal bigint, entry_key text, domain text, name_key text, state text, reason text,
            contacted_at timestamptz, source text, is_listed boolean
        ) ON COMMIT DROP
        """
    )
    ordinal = 0
    async with conn.cursor().copy("COPY pg_temp.staged_suppressions FROM STDIN") as copy:
        for row in rows:
            for entry in row.entries:
                ordinal += 1
                pair = (entry.name_key, entry.state) if entry.name_key and entry.state else (None, None)
                key = (ordinal, entry.entry_key, entry.domain, *pair)
                await copy.write_row((*key, entry.reason, entry.contacted_at, entry.source, row.is_listed))
    return ordinal


async def merge_staged(conn: Connection) -> ImportCounts:
    """Bring what was staged into the list, and say what that changed.

    An entry is the same as one that is listed by reason and company; names are filled in, ``contacted_at`` only moves forward. A
    row that is not listed takes its company's ``customer`` entries away, unless another row of the same file lists it.
    """
    # Two imports at once: what each counts is what it changes. Reading, and so the gate, goes on.
    await conn.execute("LOCK TABLE suppression_domains IN SHARE ROW EXCLUSIVE MODE")
    await conn.execute("ANALYZE pg_temp.staged_suppressions")
    removed = await conn.execute(
        """
        DELETE FROM suppression_domains AS listed
        USING pg_temp.staged_suppressions AS gone
        WHERE NOT gone.is_listed AND listed.reason = 'customer'
          AND (listed.entry_key = gone.entry_key
               OR (listed.domain IS NULL AND listed.name_key = gone.name_key AND listed.state = gone.state))
          AND NOT EXISTS (SELECT FROM pg_temp.staged_suppressions AS other
                          WHERE other.is_listed AND other.entry_key = listed.entry_key)
        """
    )
    await conn.execute(
        """
        CREATE TEMPORARY TABLE planned_suppressions ON COMMIT DROP AS
        WITH given AS (
            SELECT DISTINCT ON (entry_key) entry_key, domain, name_key, state, reason, source,
                   max(contacted_at) OVER (PARTITION BY entry_key) AS contacted_at
            FROM pg_temp.staged_suppressions WHERE is_listed
            ORDER BY entry_key, name_key IS NULL, ordinal
        )
        SELECT given.*, listed.entry_key IS NULL AS is_new,
               (coalesce(given.name_key, listed.name_key), coalesce(given.state, listed.state),
                greatest(given.contacted_at, listed.contacted_at))
                   IS DISTINCT FROM (listed.name_key, listed.state, listed.contacted_at) AS is_change
        FROM given LEFT JOIN suppression_domains AS listed USING (entry_key)
        """
    )
    await conn.execute(
        """
        INSERT INTO suppression_domains AS listed (entry_key, domain, name_key, state, reason, contacted_at, source)
        SELECT entry_key, domain, name_key, state, reason, contacted_at, source
        FROM pg_temp.planned_suppressions WHERE is_new OR is_change
        ON CONFLICT (entry_key) DO UPDATE
        SET name_key = coalesce(excluded.name_key, listed.name_key),
            state = coalesce(excluded.state, listed.state),
            contacted_at = greatest(listed.contacted_at, excluded.contacted_at),
            source = excluded.source
        """
    )
    cursor = await conn.execute(
        """
        SELECT count(*) FILTER (WHERE is_new) AS new,
               count(*) FILTER (WHERE NOT is_new AND is_change) AS updated,
               count(*) FILTER (WHERE NOT is_new AND NOT is_change) AS unchanged
        FROM pg_temp.planned_suppressions
        """
    )
    row = await cursor.fetchone()
    await conn.execute("DROP TABLE pg_temp.planned_suppressions, pg_temp.staged_suppressions")
    return ImportCounts.model_validate({**(row or {}), "removed": removed.rowcount})


async def find_match(
    conn: Connection, domains: Sequence[str], name: str, states: Sequence[str], contacted_days: int
) -> str | None:
    """Why a company is suppressed, or None. Any error reaches the caller: an unread list holds the company back.

    Args:
        domains: own registrable domain, aliases and portal hosts.
        name, states: matched together, on the comparable name.
        contacted_days: an entry of reason ``contacted`` older than this no longer counts.
    """
    cursor = await conn.execute(
        """
        SELECT reason FROM suppression_domains
        WHERE (domain = ANY(%(domains)s) OR (name_key = %(name_key)s AND state = ANY(%(states)s)))
          AND (reason <> 'contacted' OR contacted_at IS NULL
               OR contacted_at > now() - make_interval(days => %(days)s))
        ORDER BY reason LIMIT 1
        """,
        {
            "domains": list(domains),
            "name_key": comparable_name(name),
            "states": list(states),
            "days": contacted_days,
        },
    )
    row = await cursor.fetchone()
    return row["reason"] if row else None
