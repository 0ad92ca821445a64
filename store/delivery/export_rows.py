"""The rows of the two files, read from structured fields alone, and the stored files. Tables read, and ``run_artifacts``.

A missing join is an error, not an empty column (LESSONS F90): companies are selected by id and every one must come back.
"""

from typing import Any
from uuid import UUID

from domain.delivery.csv_files import CsvFile
from store.database import Connection


async def company_rows(conn: Connection, company_ids: list[UUID]) -> list[dict[str, Any]]:
    """Rows of the companies file, in the order of the ids.

    Raises:
        LookupError: a company is not there, or has no research.
    """
    cursor = await conn.execute(
        """
        SELECT c.company_id, c.name AS company_name, c.domain, c.website, c.discovery_source, c.created_at,
               r.facts, r.icp
        FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS wanted (company_id, place)
        JOIN company_candidates c USING (company_id) JOIN company_research r USING (company_id)
        WHERE r.icp IS NOT NULL
        ORDER BY wanted.place
        """,
        {"ids": company_ids},
    )
    rows = [_company_row(row) for row in await cursor.fetchall()]
    if len(rows) != len(company_ids):
        raise LookupError(f"{len(company_ids) - len(rows)} selected companies have no research")
    return rows


def _company_row(row: dict[str, Any]) -> dict[str, Any]:
    facts, icp = row["facts"], row["icp"]
    units, description = facts["units"], facts["description"]
    return {
        "company_name": row["company_name"],
        "domain": row["domain"],
        "website": row["website"],
        "state": facts["places"][0]["state"] if facts["places"] else None,
        "pms_detected": facts["pms"],
        "units_estimate": units["value"] if units else None,
        "company_type": None if facts["company_type"] == "unknown" else facts["company_type"],
        "description": description["value"] if description else None,
        "discovery_source": row["discovery_source"],
        "icp_fit": icp["fit"],
        "icp_tier": icp["tier"],
        "icp_confidence": float(icp["confidence"]),
        "disqualifiers": "; ".join(icp["disqualifiers"]) or None,
        "created_at": row["created_at"],
    }


async def contact_rows(conn: Connection, company_ids: list[UUID]) -> list[dict[str, Any]]:
    """Rows of the contacts file: the selected people of the companies, in the order of the ids, best first."""
    cursor = await conn.execute(
        """
        SELECT p.full_name, p.title, p.email, p.linkedin_url, p.department, p.seniority, p.quality_score,
               c.name AS company_name, c.domain AS company_domain, c.website AS company_website,
               r.facts->'places'->0->>'state' AS company_state, p.personalization_notes, p.created_at
        FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS wanted (company_id, place)
        JOIN contact_candidates p USING (company_id)
        JOIN company_candidates c USING (company_id)
        JOIN company_research r USING (company_id)
        WHERE p.rank IS NOT NULL
        ORDER BY wanted.place, p.rank
        """,
        {"ids": company_ids},
    )
    return [dict(row) for row in await cursor.fetchall()]


async def save_artifact(conn: Connection, run_id: UUID, kind: str, file: CsvFile, *, partial: bool) -> None:
    """Keep a rendered file with its run; rendered again, it is replaced."""
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
    """A stored file of a run and whether it is partial."""
    cursor = await conn.execute(
        "SELECT name, content, rows, partial FROM run_artifacts WHERE run_id = %s AND kind = %s", (run_id, kind)
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return CsvFile(name=row["name"], content=bytes(row["content"]), rows=row["rows"]), row["partial"]


async def contacts_selected(conn: Connection, company_ids: list[UUID]) -> int:
    """How many people of the companies are delivered."""
    cursor = await conn.execute(
        "SELECT count(*) AS people FROM contact_candidates WHERE company_id = ANY(%s) AND rank IS NOT NULL",
        (company_ids,),
    )
    row = await cursor.fetchone()
    return int(row["people"]) if row else 0


async def count_with_contacts(conn: Connection, company_ids: list[UUID], contacts_min: int) -> int:
    """How many of the companies have as many people to deliver as a company has to have."""
    cursor = await conn.execute(
        """
        SELECT count(*) AS companies FROM unnest(%s::uuid[]) AS wanted (company_id)
        WHERE (SELECT count(*) FROM contact_candidates p WHERE p.company_id = wanted.company_id AND p.rank IS NOT NULL) >= %s
        """,
        (company_ids, contacts_min),
    )
    row = await cursor.fetchone()
    return int(row["companies"]) if row else 0
