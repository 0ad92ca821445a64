"""The rows of the two exported files, and the stored files. Table ``run_artifacts`` and others."""

from typing import Any
from uuid import UUID

from domain.delivery.csv_files import CsvFile
from store.database import Connection, fetch_row, fetch_rows, fetch_value


async def company_rows(conn: Connection, company_ids: list[UUID]) -> list[dict[str, Any]]:
    """Return the rows of the companies file, in the order of the ids.

    Raises:
        LookupError: a company is not stored, or has no research.
    """
    rows = await fetch_rows(
        conn,
        """
        SELECT c.name AS company_name, c.domain, c.website, r.facts->'places'->0->>'state' AS state,
               r.facts->>'pms' AS pms_detected, (r.facts->'units'->>'value')::int AS units_estimate,
               nullif(r.facts->>'company_type', 'unknown') AS company_type,
               r.facts->'description'->>'value' AS description, c.discovery_source,
               r.icp->>'fit' AS icp_fit, r.icp->>'tier' AS icp_tier, (r.icp->>'confidence')::float8 AS icp_confidence,
               nullif(array_to_string(ARRAY(SELECT jsonb_array_elements_text(r.icp->'disqualifiers')), '; '), '') AS disqualifiers,
               c.created_at
        FROM unnest(%s::uuid[]) WITH ORDINALITY AS wanted (company_id, place)
        JOIN company_candidates c USING (company_id) JOIN company_research r USING (company_id)
        WHERE r.icp IS NOT NULL
        ORDER BY wanted.place
        """,
        (company_ids,),
    )
    if len(rows) != len(company_ids):
        raise LookupError(f"{len(company_ids) - len(rows)} selected companies have no research")
    return rows


async def contact_rows(conn: Connection, company_ids: list[UUID]) -> list[dict[str, Any]]:
    """Return the rows of the contacts file: the selected people of each company, best first."""
    return await fetch_rows(
        conn,
        """
        SELECT p.full_name, p.title, p.email, p.linkedin_url, p.department, p.seniority, p.quality_score,
               c.name AS company_name, c.domain AS company_domain, c.website AS company_website,
               r.facts->'places'->0->>'state' AS company_state, p.personalization_notes, p.created_at
        FROM unnest(%s::uuid[]) WITH ORDINALITY AS wanted (company_id, place)
        JOIN contact_candidates p USING (company_id)
        JOIN company_candidates c USING (company_id)
        JOIN company_research r USING (company_id)
        WHERE p.rank IS NOT NULL
        ORDER BY wanted.place, p.rank
        """,
        (company_ids,),
    )


async def save_artifact(conn: Connection, run_id: UUID, kind: str, file: CsvFile, *, partial: bool) -> None:
    await conn.execute(
        """
        INSERT INTO run_artifacts (run_id, kind, name, content, rows, partial) VALUES (%s, %s, %s, %s, %s, %s)
        ON CONFLICT (run_id, kind) DO UPDATE
        SET name = excluded.name, content = excluded.content, rows = excluded.rows, partial = excluded.partial,
            created_at = now()
        """,
        (run_id, kind, file.name, file.content, file.rows, partial),
    )


async def load_artifact(conn: Connection, run_id: UUID, kind: str) -> tuple[CsvFile, bool] | None:
    """Return a stored file of a run, and whether it is partial."""
    query = "SELECT name, content, rows, partial FROM run_artifacts WHERE run_id = %s AND kind = %s"
    row = await fetch_row(conn, query, (run_id, kind))
    if row is None:
        return None
    return CsvFile(name=row["name"], content=bytes(row["content"]), rows=row["rows"]), row["partial"]


async def count_selected_contacts(conn: Connection, company_ids: list[UUID]) -> int:
    query = "SELECT count(*) FROM contact_candidates WHERE company_id = ANY(%s) AND rank IS NOT NULL"
    return int(await fetch_value(conn, query, (company_ids,)))


async def count_with_contacts(conn: Connection, company_ids: list[UUID], contacts_min: int) -> int:
    query = """
        SELECT count(*) FROM unnest(%s::uuid[]) AS wanted (company_id)
        WHERE (SELECT count(*) FROM contact_candidates p WHERE p.company_id = wanted.company_id AND p.rank IS NOT NULL) >= %s
    """
    return int(await fetch_value(conn, query, (company_ids, contacts_min)))
