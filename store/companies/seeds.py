"""Accounts at software vendors, as imported lists give them. Table ``pms_subdomains``. A seed says where to look; it proves nothing.

Which of them fit a request is asked in ``store/companies/stored_candidates.py``.
"""

from collections.abc import Iterable

from domain.imports.rows import Seed
from store.companies.imported import ImportCounts
from store.database import Connection


async def fill_staging_table(conn: Connection, seeds: Iterable[Seed], source: str) -> int:
    """Put seeds aside, in a stream, until ``merge_staging_table`` or the end of the transaction. Returns how many they are.

    Whatever ``seeds`` raises while it is read reaches the caller; the transaction is then to be rolled back.
    """
    await conn.execute("DROP TABLE IF EXISTS pg_temp.staged_seeds")
    await conn.execute(
        "CREATE TEMPORARY TABLE staged_seeds (ordinal bigint, LIKE pms_subdomains INCLUDING DEFAULTS) ON COMMIT DROP"
    )
    ordinal = 0
    columns = "ordinal, vendor, slug, portal_url, company_name, city, state, website, phone, source"
    async with conn.cursor().copy(f"COPY pg_temp.staged_seeds ({columns}) FROM STDIN") as copy:
        for seed in seeds:
            ordinal += 1
            account = (ordinal, seed.vendor.value, seed.slug, seed.portal_url, seed.company_name)
            await copy.write_row((*account, seed.city, seed.state, seed.website, seed.phone, source))
    return ordinal


async def merge_staging_table(conn: Connection) -> ImportCounts:
    """Bring what was staged into the table, and say what that changed.

    Of an account that is given twice the first row counts. What a list leaves out stays as an earlier one has it, and so does
    the portal's address: another address of the same account says nothing new.
    """
    # Two imports at once: what each counts is what it changes. Reading goes on.
    await conn.execute("LOCK TABLE pms_subdomains IN SHARE ROW EXCLUSIVE MODE")
    await conn.execute("ANALYZE pg_temp.staged_seeds")
    await conn.execute(
        """
        CREATE TEMPORARY TABLE planned_seeds ON COMMIT DROP AS
        WITH given AS (
            SELECT DISTINCT ON (vendor, slug) * FROM pg_temp.staged_seeds ORDER BY vendor, slug, ordinal
        )
        SELECT given.*, kept.vendor IS NULL AS is_new,
               (coalesce(kept.portal_url, given.portal_url), coalesce(given.company_name, kept.company_name),
                coalesce(given.city, kept.city), coalesce(given.state, kept.state),
                coalesce(given.website, kept.website), coalesce(given.phone, kept.phone))
                   IS DISTINCT FROM
               (kept.portal_url, kept.company_name, kept.city, kept.state, kept.website, kept.phone) AS is_change
        FROM given LEFT JOIN pms_subdomains AS kept USING (vendor, slug)
        """
    )
    await conn.execute(
        """
        INSERT INTO pms_subdomains AS kept
            (vendor, slug, portal_url, company_name, city, state, website, phone, source, imported_at)
        SELECT vendor, slug, portal_url, company_name, city, state, website, phone, source, imported_at
        FROM pg_temp.planned_seeds WHERE is_new OR is_change
        ON CONFLICT (vendor, slug) DO UPDATE
        SET portal_url = coalesce(kept.portal_url, excluded.portal_url),
            company_name = coalesce(excluded.company_name, kept.company_name),
            city = coalesce(excluded.city, kept.city),
            state = coalesce(excluded.state, kept.state),
            website = coalesce(excluded.website, kept.website),
            phone = coalesce(excluded.phone, kept.phone),
            source = excluded.source,
            imported_at = excluded.imported_at
        """
    )
    cursor = await conn.execute(
        """
        SELECT count(*) FILTER (WHERE is_new) AS new,
               count(*) FILTER (WHERE NOT is_new AND is_change) AS updated,
               count(*) FILTER (WHERE NOT is_new AND NOT is_change) AS unchanged
        FROM pg_temp.planned_seeds
        """
    )
    row = await cursor.fetchone()
    await conn.execute("DROP TABLE pg_temp.planned_seeds, pg_temp.staged_seeds")
    return ImportCounts.model_validate(row or {})
