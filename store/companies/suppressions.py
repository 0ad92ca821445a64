"""Who must never be delivered. Table ``suppression_domains``; one list, read by one gate (DOMAIN, "Suppression").

Entries come in by one way, whether a few or a million: they are staged in a temporary table, and merged from there. The caller's
transaction holds both, so the gate sees the list before an import or after it, never half of it.
"""

from collections.abc import Iterable, Sequence

from domain.company.identity import normalized_company_name
from domain.company.suppression import Suppression, SuppressionReason
from domain.imports.rows import SuppressionChange
from store.companies.imported import ImportCounts
from store.database import Connection

__all__ = ["Suppression", "SuppressionReason", "fill_staging_table", "find_match", "merge_staging_table", "upsert"]


async def upsert(conn: Connection, entries: Iterable[Suppression]) -> int:
    """Add entries; one that is already listed is updated. Returns how many were given. Needs an open transaction."""
    count = await fill_staging_table(conn, [SuppressionChange(entries=(entry,)) for entry in entries])
    await merge_staging_table(conn)
    return count


async def fill_staging_table(conn: Connection, rows: Iterable[SuppressionChange]) -> int:
    """Put rows aside, in a stream, until ``merge_staging_table`` or the end of the transaction. Returns how many entries they hold.

    A domain and a name with its state are listed apart, the latter beside the domain that it was given with: two rows of one
    domain under different names keep both names.

    Whatever ``rows`` raises while it is read reaches the caller; the transaction is then to be rolled back.
    """
    await conn.execute("DROP TABLE IF EXISTS pg_temp.staged_suppressions")
    await conn.execute(
        """
        CREATE TEMPORARY TABLE staged_suppressions (
            ordinal bigint, company_key text, entry_key text, domain text, name_key text, state text, reason text,
            contacted_at timestamptz, source text, is_listed boolean
        ) ON COMMIT DROP
        """
    )
    ordinal = 0
    async with conn.cursor().copy("COPY pg_temp.staged_suppressions FROM STDIN") as copy:
        for row in rows:
            for entry in row.entries:
                ordinal += 1
                key = entry.entry_key
                pair = (entry.name_key, entry.state) if entry.name_key and entry.state else (None, None)
                rest = (entry.reason, entry.contacted_at, entry.source, row.is_listed)
                if entry.domain and pair[0] and row.is_listed:
                    beside = f"{key}|{entry.name_key}|{entry.state}"
                    await copy.write_row((ordinal, key, beside, entry.domain, *pair, *rest))
                    pair = (None, None)
                await copy.write_row((ordinal, key, key, entry.domain, *pair, *rest))
    return ordinal


async def merge_staging_table(conn: Connection, *, may_remove: bool = True) -> ImportCounts:
    """Bring what was staged into the list, and say what that changed, by companies: a domain, or a name with its state.

    An entry is the same as one that is listed by reason and company. ``contacted_at`` only moves forward, and an entry without
    it, which always counts, stays so. A row that is not listed takes its company's ``customer`` entries away, unless another
    row of the same file lists it.

    Args:
        may_remove: False takes nobody off the list. For a file that was not read whole: the row that says that a company is
            still a customer may be one of those left out.
    """
    # Two imports at once: what each counts is what it changes. Reading, and so the gate, goes on.
    await conn.execute("LOCK TABLE suppression_domains IN SHARE ROW EXCLUSIVE MODE")
    await conn.execute("ANALYZE pg_temp.staged_suppressions")
    removed = await _remove_gone(conn) if may_remove else 0
    await conn.execute(
        """
        CREATE TEMPORARY TABLE planned_suppressions ON COMMIT DROP AS
        WITH given AS (
            SELECT DISTINCT ON (entry_key) company_key, entry_key, domain, name_key, state, reason, source,
                   CASE WHEN NOT bool_or(contacted_at IS NULL) OVER same_entry
                        THEN max(contacted_at) OVER same_entry END AS contacted_at
            FROM pg_temp.staged_suppressions WHERE is_listed
            WINDOW same_entry AS (PARTITION BY entry_key)
            ORDER BY entry_key, ordinal
        ), merged AS (
            -- greatest() passes over a null, which here says the most
            SELECT given.company_key, entry_key, given.domain, given.name_key, given.state, given.reason, given.source,
                   listed.suppression_id IS NULL AS is_new, listed.contacted_at AS listed_contacted_at,
                   CASE WHEN listed.suppression_id IS NULL THEN given.contacted_at
                        WHEN given.contacted_at IS NOT NULL AND listed.contacted_at IS NOT NULL
                        THEN greatest(given.contacted_at, listed.contacted_at) END AS contacted_at
            FROM given LEFT JOIN suppression_domains AS listed USING (entry_key)
        )
        SELECT merged.*, NOT is_new AND contacted_at IS DISTINCT FROM listed_contacted_at AS is_change FROM merged
        """
    )
    await conn.execute(
        """
        INSERT INTO suppression_domains (entry_key, domain, name_key, state, reason, contacted_at, source)
        SELECT entry_key, domain, name_key, state, reason, contacted_at, source
        FROM pg_temp.planned_suppressions WHERE is_new OR is_change
        ON CONFLICT (entry_key) DO UPDATE SET contacted_at = excluded.contacted_at, source = excluded.source
        """
    )
    cursor = await conn.execute(
        """
        WITH companies AS (
            SELECT bool_or(is_new AND entry_key = company_key) AS is_new, bool_or(is_new OR is_change) AS is_change
            FROM pg_temp.planned_suppressions GROUP BY company_key
        )
        SELECT count(*) FILTER (WHERE is_new) AS new,
               count(*) FILTER (WHERE NOT is_new AND is_change) AS updated,
               count(*) FILTER (WHERE NOT is_new AND NOT is_change) AS unchanged
        FROM companies
        """
    )
    row = await cursor.fetchone()
    await conn.execute("DROP TABLE pg_temp.planned_suppressions, pg_temp.staged_suppressions")
    return ImportCounts.model_validate({**(row or {}), "removed": removed})


async def _remove_gone(conn: Connection) -> int:
    """Take the customers away who have left: all entries of a domain, and a name that was listed alone. Returns how many."""
    cursor = await conn.execute(
        """
        WITH gone AS (
            SELECT listed.suppression_id, left_us.company_key
            FROM pg_temp.staged_suppressions AS left_us JOIN suppression_domains AS listed USING (domain)
            WHERE NOT left_us.is_listed AND listed.reason = 'customer'
              AND NOT EXISTS (SELECT FROM pg_temp.staged_suppressions AS other
                              WHERE other.is_listed AND other.domain = left_us.domain)
            UNION ALL
            SELECT listed.suppression_id, left_us.company_key
            FROM pg_temp.staged_suppressions AS left_us JOIN suppression_domains AS listed USING (name_key, state)
            WHERE NOT left_us.is_listed AND listed.reason = 'customer' AND listed.domain IS NULL
              AND NOT EXISTS (SELECT FROM pg_temp.staged_suppressions AS other
                              WHERE other.is_listed AND other.name_key = left_us.name_key
                                AND other.state = left_us.state)
        ), companies AS (
            SELECT suppression_id, min(company_key) AS company_key FROM gone GROUP BY suppression_id
        ), deleted AS (
            DELETE FROM suppression_domains AS listed USING companies
            WHERE listed.suppression_id = companies.suppression_id
            RETURNING companies.company_key
        )
        SELECT count(DISTINCT company_key) AS removed FROM deleted
        """
    )
    row = await cursor.fetchone()
    return int(row["removed"]) if row else 0


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
            "name_key": normalized_company_name(name),
            "states": list(states),
            "days": contacted_days,
        },
    )
    row = await cursor.fetchone()
    return row["reason"] if row else None
