"""What the completeness report counts: the delivered rows with their evidence, and what was left out on the way.

Tables ``company_candidates``, ``company_research``, ``contact_candidates``, ``tool_results``. The rules are
``domain/delivery/completeness.py``; the rows themselves are those of the export (``export_rows.py``).
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from domain.company.hosts import registrable_domain
from domain.delivery.completeness import FileRow, largest_first, proven_columns
from domain.evidence import Evidence
from store.database import Connection
from store.delivery import export_rows


class UnpricedCalls(BaseModel):
    """Calls of one model that used tokens and cost nothing: no price was known when they were made, or it was 0."""

    model_config = ConfigDict(frozen=True)

    model: str
    calls: int
    input_tokens: int
    output_tokens: int


async def delivered_rows(conn: Connection, company_ids: list[UUID]) -> tuple[list[FileRow], list[FileRow]]:
    """The rows of both files with the columns of each that have proof.

    The caller's transaction is a snapshot (``REPEATABLE READ``), so that a row and its evidence belong together.

    Raises:
        LookupError: a company is not there, or has no research.
    """
    companies = await export_rows.company_rows(conn, company_ids)
    contacts = await export_rows.contact_rows(conn, company_ids)
    company_proof = await _company_evidence(conn, company_ids)
    contact_proof = await _contact_evidence(conn, company_ids)
    stored = await _stored_results(conn, [*company_proof, *contact_proof])
    sites = await _sites_read(conn, company_ids)
    return (
        [
            FileRow(cells=row, proven=proven_columns(proof, stored) | _site_columns(row, pages))
            for row, proof, pages in zip(companies, company_proof, sites, strict=True)
        ],
        [
            FileRow(cells=row, proven=proven_columns(proof, stored))
            for row, proof in zip(contacts, contact_proof, strict=True)
        ],
    )


async def dropped_claims(conn: Connection, run_id: UUID) -> dict[str, int]:
    """Everything left out of a run's companies and contacts, by ``what:why``, most first."""
    cursor = await conn.execute(
        """
        SELECT claim.key AS claim, sum(claim.value::int)::int AS claims
        FROM company_research r
        CROSS JOIN LATERAL (
            SELECT r.dropped AS counts UNION ALL SELECT step.value FROM jsonb_each(r.contacts_dropped) AS step
        ) AS part
        CROSS JOIN LATERAL jsonb_each_text(part.counts) AS claim
        WHERE r.run_id = %s GROUP BY claim.key
        """,
        (run_id,),
    )
    return largest_first({row["claim"]: row["claims"] for row in await cursor.fetchall()})


async def unpriced_calls(conn: Connection, run_id: UUID) -> list[UnpricedCalls]:
    """A run's calls that no price was put on, by model."""
    cursor = await conn.execute(
        """
        SELECT model, count(*) AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens
        FROM agent_turns
        WHERE run_id = %s AND status = 'stored' AND cost_usd = 0 AND input_tokens + output_tokens > 0
        GROUP BY model ORDER BY model
        """,
        (run_id,),
    )
    return [UnpricedCalls.model_validate(row) for row in await cursor.fetchall()]


async def save_contacts_dropped(conn: Connection, company_id: UUID, step: str, dropped: Mapping[str, int]) -> None:
    """Keep what a step left out of a company's contacts, by ``what:why``; the same step again replaces its counts."""
    await conn.execute(
        "UPDATE company_research SET contacts_dropped = contacts_dropped || jsonb_build_object(%s::text, %s::jsonb)"
        " WHERE company_id = %s",
        (step, Jsonb(dict(dropped)), company_id),
    )


async def _company_evidence(conn: Connection, company_ids: list[UUID]) -> list[dict[str, Evidence | None]]:
    cursor = await conn.execute(
        """
        SELECT c.evidence AS company_name, r.facts->'place_evidence'->0 AS state, r.facts->'pms_evidence' AS pms_detected,
               r.facts->'units'->'evidence' AS units_estimate, r.facts->'company_type_evidence' AS company_type,
               r.facts->'description'->'evidence' AS description
        FROM unnest(%s::uuid[]) WITH ORDINALITY AS wanted (company_id, place)
        JOIN company_candidates c USING (company_id)
        JOIN company_research r USING (company_id)
        ORDER BY place
        """,
        (company_ids,),
    )
    return [_evidence(row) for row in await cursor.fetchall()]


async def _contact_evidence(conn: Connection, company_ids: list[UUID]) -> list[dict[str, Evidence | None]]:
    cursor = await conn.execute(
        """
        SELECT person->'evidence' AS full_name, person->'evidence' AS title,
               -- The evidence of an address that no page prints is other people's addresses.
               CASE WHEN person->>'email_basis' IS NULL THEN person->'email_evidence' END AS email,
               person->'linkedin_evidence' AS linkedin_url, person->'note_evidence' AS personalization_notes
        FROM unnest(%s::uuid[]) WITH ORDINALITY AS wanted (company_id, place)
        JOIN contact_candidates USING (company_id)
        WHERE rank IS NOT NULL
        ORDER BY place, rank
        """,
        (company_ids,),
    )
    return [_evidence(row) for row in await cursor.fetchall()]


def _evidence(row: Mapping[str, Any]) -> dict[str, Evidence | None]:
    return {column: Evidence.model_validate(value) if value else None for column, value in row.items()}


async def _stored_results(conn: Connection, rows: list[dict[str, Evidence | None]]) -> frozenset[str]:
    named = {proof.result_id for row in rows for proof in row.values() if proof is not None}
    cursor = await conn.execute("SELECT result_id FROM tool_results WHERE result_id = ANY(%s)", (sorted(named),))
    return frozenset(row["result_id"] for row in await cursor.fetchall())


async def _sites_read(conn: Connection, company_ids: list[UUID]) -> list[list[str]]:
    """Addresses of the pages of each company's site that were read."""
    cursor = await conn.execute(
        """
        SELECT jsonb_path_query_array(pages, '$[*].url') AS urls
        FROM unnest(%s::uuid[]) WITH ORDINALITY AS wanted (company_id, place)
        JOIN company_research USING (company_id)
        ORDER BY place
        """,
        (company_ids,),
    )
    return [row["urls"] for row in await cursor.fetchall()]


def _site_columns(row: Mapping[str, Any], pages: list[str]) -> frozenset[str]:
    domain = row["domain"]
    read = domain is not None and any(registrable_domain(url) == domain for url in pages)
    return frozenset({"domain", "website"}) if read else frozenset()
