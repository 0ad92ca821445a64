"""Imported accounts at software vendors, called seeds. Table ``pms_subdomains``.

A seed tells a search where to look. It proves nothing.
"""

from collections.abc import Iterable

from domain.imports.rows import Seed
from store.companies.imported import ImportCounts
from store.database import Connection, fetch_row


async def fill_staging_table(conn: Connection, seeds: Iterable[Seed], source: str) -> int:
    """Copy seeds into a temporary table. Returns how many."""
    await conn.execute("DROP TABLE IF EXISTS pg_temp.staged_seeds")
    await conn.execute(
        "CREATE TEMPORARY TABLE staged_seeds (ordinal bigint, LIKE pms_subdomains INCLUDING DEFAULTS) ON COMMIT DROP"
    )
    ordinal = 0
    columns = "ordinal, vendor, slug, portal_url, company_name, city, state, website, phone, source"
    async with conn.cursor().copy(f"COPY pg_temp.staged_seeds ({columns}) FROM STDIN") as copy:
        for ordinal, seed in enumerate(seeds, start=1):
            account = (ordinal, seed.vendor.value, seed.slug, seed.portal_url, seed.company_name)
            await copy.write_row((*account, seed.city, seed.state, seed.website, seed.phone, source))
    return ordinal


async def merge_staging_table(conn: Connection) -> ImportCounts:
    """Insert or update the staged seeds.

    The first row of an account counts. Fields that the list leaves out keep their values. A stored portal URL never changes.
    """
    # Without this lock, concurrent imports would count each other's changes. It does not block readers.
    await conn.execute("LOCK TABLE pms_subdomains IN SHARE ROW EXCLUSIVE MODE")
    await conn.execute("ANALYZE pg_temp.staged_seeds")
    row = await fetch_row(
        conn,
        """
        WITH given AS (
            SELECT DISTINCT ON (vendor, slug) * FROM pg_temp.staged_seeds ORDER BY vendor, slug, ordinal
        ), merged AS (
            SELECT vendor, slug, coalesce(kept.portal_url, given.portal_url) AS portal_url,
                   coalesce(given.company_name, kept.company_name) AS company_name,
                   coalesce(given.city, kept.city) AS city, coalesce(given.state, kept.state) AS state,
                   coalesce(given.website, kept.website) AS website, coalesce(given.phone, kept.phone) AS phone,
                   given.source, given.imported_at, kept.vendor IS NULL AS is_new,
                   (kept.portal_url, kept.company_name, kept.city, kept.state, kept.website, kept.phone) AS before
            FROM given LEFT JOIN pms_subdomains AS kept USING (vendor, slug)
        ), planned AS (
            SELECT *, (portal_url, company_name, city, state, website, phone) IS DISTINCT FROM before AS is_change FROM merged
        ), written AS (
            INSERT INTO pms_subdomains (vendor, slug, portal_url, company_name, city, state, website, phone, source, imported_at)
            SELECT vendor, slug, portal_url, company_name, city, state, website, phone, source, imported_at
            FROM planned WHERE is_new OR is_change
            ON CONFLICT (vendor, slug) DO UPDATE
            SET portal_url = excluded.portal_url, company_name = excluded.company_name, city = excluded.city,
                state = excluded.state, website = excluded.website, phone = excluded.phone, source = excluded.source,
                imported_at = excluded.imported_at
        )
        SELECT count(*) FILTER (WHERE is_new) AS new,
               count(*) FILTER (WHERE NOT is_new AND is_change) AS updated,
               count(*) FILTER (WHERE NOT is_new AND NOT is_change) AS unchanged
        FROM planned
        """,
    )
    await conn.execute("DROP TABLE pg_temp.staged_seeds")
    return ImportCounts.model_validate(row or {})
