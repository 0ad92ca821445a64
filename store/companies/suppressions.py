"""Companies that must not be delivered. Table ``suppression_domains``.

The caller copies entries to a temporary table and merges them in one transaction. A suppression check never sees half of
an import.
"""

from collections.abc import Iterable, Sequence

from domain.company.identity import normalized_company_name
from domain.company.suppression import Suppression
from domain.imports.rows import SuppressionChange
from store.companies.imported import ImportCounts
from store.database import Connection, fetch_row, fetch_value


async def upsert(conn: Connection, entries: Iterable[Suppression]) -> int:
    """Insert or update entries. Returns how many were given. Requires an open transaction."""
    count = await fill_staging_table(conn, [SuppressionChange(entries=(entry,)) for entry in entries])
    await merge_staging_table(conn)
    return count


async def fill_staging_table(conn: Connection, rows: Iterable[SuppressionChange]) -> int:
    """Copy entries into a temporary table. Returns how many.

    A listed entry with domain, name and state becomes two rows, so that one domain can have several names.
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
    entries = ((entry, row.is_listed) for row in rows for entry in row.entries)
    ordinal = 0
    async with conn.cursor().copy("COPY pg_temp.staged_suppressions FROM STDIN") as copy:
        for ordinal, (entry, is_listed) in enumerate(entries, start=1):
            key = entry.entry_key
            name = (entry.name_key, entry.state) if entry.name_key and entry.state else (None, None)
            rest = (entry.reason, entry.contacted_at, entry.source, is_listed)
            if entry.domain and name[0] and is_listed:
                await copy.write_row((ordinal, key, f"{key}|{'|'.join(map(str, name))}", entry.domain, *name, *rest))
                name = (None, None)
            await copy.write_row((ordinal, key, key, entry.domain, *name, *rest))
    return ordinal


async def merge_staging_table(conn: Connection, *, may_remove: bool = True) -> ImportCounts:
    """Insert or update the staged entries. Returns how many companies changed (a domain, or a name with state).

    Company and reason identify an entry. ``contacted_at`` only moves forward. An entry imported without it never expires.
    A row that is not listed removes its company's ``customer`` entries, unless another row of the file lists the company.

    Args:
        may_remove: False if some rows could not be read. Such a row might list the company as a customer.
    """
    # Without this lock, concurrent imports would count each other's changes. It does not block suppression checks.
    await conn.execute("LOCK TABLE suppression_domains IN SHARE ROW EXCLUSIVE MODE")
    await conn.execute("ANALYZE pg_temp.staged_suppressions")
    removed = await _remove_former_customers(conn) if may_remove else 0
    row = await fetch_row(
        conn,
        """
        WITH given AS (
            SELECT DISTINCT ON (entry_key) company_key, entry_key, domain, name_key, state, reason, source,
                   CASE WHEN NOT bool_or(contacted_at IS NULL) OVER same_entry
                        THEN max(contacted_at) OVER same_entry END AS contacted_at
            FROM pg_temp.staged_suppressions WHERE is_listed
            WINDOW same_entry AS (PARTITION BY entry_key)
            ORDER BY entry_key, ordinal
        ), merged AS (
            SELECT given.company_key, entry_key, given.domain, given.name_key, given.state, given.reason, given.source,
                   listed.suppression_id IS NULL AS is_new, listed.contacted_at AS listed_contacted_at,
                   CASE WHEN listed.suppression_id IS NULL THEN given.contacted_at
                        WHEN given.contacted_at IS NOT NULL AND listed.contacted_at IS NOT NULL  -- null never expires
                        THEN greatest(given.contacted_at, listed.contacted_at) END AS contacted_at
            FROM given LEFT JOIN suppression_domains AS listed USING (entry_key)
        ), planned AS (
            SELECT *, NOT is_new AND contacted_at IS DISTINCT FROM listed_contacted_at AS is_change FROM merged
        ), written AS (
            INSERT INTO suppression_domains (entry_key, domain, name_key, state, reason, contacted_at, source)
            SELECT entry_key, domain, name_key, state, reason, contacted_at, source
            FROM planned WHERE is_new OR is_change
            ON CONFLICT (entry_key) DO UPDATE SET contacted_at = excluded.contacted_at, source = excluded.source
        ), companies AS (
            SELECT bool_or(is_new AND entry_key = company_key) AS is_new, bool_or(is_new OR is_change) AS is_change
            FROM planned GROUP BY company_key
        )
        SELECT count(*) FILTER (WHERE is_new) AS new,
               count(*) FILTER (WHERE NOT is_new AND is_change) AS updated,
               count(*) FILTER (WHERE NOT is_new AND NOT is_change) AS unchanged
        FROM companies
        """,
    )
    await conn.execute("DROP TABLE pg_temp.staged_suppressions")
    return ImportCounts.model_validate({**(row or {}), "removed": removed})


async def _remove_former_customers(conn: Connection) -> int:
    """Delete ``customer`` entries of companies that are no longer listed. Returns the number of companies."""
    return int(
        await fetch_value(
            conn,
            """
            WITH gone AS (
                SELECT listed.suppression_id, former.company_key
                FROM pg_temp.staged_suppressions AS former JOIN suppression_domains AS listed USING (domain)
                WHERE NOT former.is_listed AND listed.reason = 'customer'
                  AND NOT EXISTS (SELECT FROM pg_temp.staged_suppressions AS other
                                  WHERE other.is_listed AND other.domain = former.domain)
                UNION ALL
                SELECT listed.suppression_id, former.company_key
                FROM pg_temp.staged_suppressions AS former JOIN suppression_domains AS listed USING (name_key, state)
                WHERE NOT former.is_listed AND listed.reason = 'customer' AND listed.domain IS NULL
                  AND NOT EXISTS (SELECT FROM pg_temp.staged_suppressions AS other
                                  WHERE other.is_listed AND other.name_key = former.name_key
                                    AND other.state = former.state)
            ), companies AS (
                SELECT suppression_id, min(company_key) AS company_key FROM gone GROUP BY suppression_id
            ), deleted AS (
                DELETE FROM suppression_domains AS listed USING companies
                WHERE listed.suppression_id = companies.suppression_id
                RETURNING companies.company_key
            )
            SELECT count(DISTINCT company_key) FROM deleted
            """,
        )
    )


async def find_match(
    conn: Connection, domains: Sequence[str], name: str, states: Sequence[str], contacted_days: int
) -> str | None:
    """Return the reason why a company is suppressed, or None.

    Args:
        domains: own registrable domain, aliases and portal hosts.
        name: matches only together with one of the states.
        contacted_days: an older entry with reason ``contacted`` does not count.
    """
    reason: str | None = await fetch_value(
        conn,
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
    return reason
