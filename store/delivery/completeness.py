"""Data for the completeness report: delivered rows with their evidence, and counts of what was dropped.

The rules are in ``domain/delivery/completeness.py``.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from domain.company.hosts import registrable_domain
from domain.delivery.completeness import FileRow, largest_first, proven_columns
from domain.evidence import Evidence
from store.database import Connection, fetch_column, fetch_models, fetch_rows
from store.delivery import export_rows


class UnpricedCalls(BaseModel):
    """Calls of one model that used tokens but cost nothing, because the price was unknown or 0."""

    model_config = ConfigDict(frozen=True)

    model: str
    calls: int
    input_tokens: int
    output_tokens: int


async def delivered_rows(conn: Connection, company_ids: list[UUID]) -> tuple[list[FileRow], list[FileRow]]:
    """Return the rows of both files, with the columns that have proof.

    The caller's transaction must be ``REPEATABLE READ``, so that rows and evidence match.

    Raises:
        LookupError: a company is not stored, or has no research.
    """
    companies = await export_rows.company_rows(conn, company_ids)
    contacts = await export_rows.contact_rows(conn, company_ids)
    company_proof = await _evidence(conn, _COMPANY_EVIDENCE, company_ids)
    contact_proof = await _evidence(conn, _CONTACT_EVIDENCE, company_ids)
    named = {proof.result_id for row in [*company_proof, *contact_proof] for proof in row.values() if proof}
    stored = set(
        await fetch_column(conn, "SELECT result_id FROM tool_results WHERE result_id = ANY(%s)", (sorted(named),))
    )
    sites = await fetch_column(conn, _SITE_URLS, (company_ids,))
    return (
        [
            FileRow(cells=row, proven=proven_columns(proof, stored) | _site_columns(row, urls))
            for row, proof, urls in zip(companies, company_proof, sites, strict=True)
        ],
        [
            FileRow(cells=row, proven=proven_columns(proof, stored))
            for row, proof in zip(contacts, contact_proof, strict=True)
        ],
    )


async def _evidence(conn: Connection, query: str, company_ids: list[UUID]) -> list[dict[str, Evidence | None]]:
    return [
        {column: Evidence.model_validate(value) if value else None for column, value in row.items()}
        for row in await fetch_rows(conn, query, (company_ids,))
    ]


def _site_columns(row: Mapping[str, Any], urls: list[str]) -> frozenset[str]:
    domain = row["domain"]
    is_read = domain is not None and any(registrable_domain(url) == domain for url in urls)
    return frozenset({"domain", "website"}) if is_read else frozenset()


async def dropped_claims(conn: Connection, run_id: UUID) -> dict[str, int]:
    """Count the claims that a run dropped, by ``what:why``, largest count first."""
    rows = await fetch_rows(
        conn,
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
    return largest_first({row["claim"]: row["claims"] for row in rows})


async def unpriced_calls(conn: Connection, run_id: UUID) -> list[UnpricedCalls]:
    query = """
        SELECT model, count(*) AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens
        FROM agent_turns
        WHERE run_id = %s AND status = 'stored' AND cost_usd = 0 AND input_tokens + output_tokens > 0
        GROUP BY model ORDER BY model
    """
    return await fetch_models(conn, UnpricedCalls, query, (run_id,))


async def save_contacts_dropped(conn: Connection, company_id: UUID, step: str, dropped: Mapping[str, int]) -> None:
    """Store how many contact claims an activity dropped, by ``what:why``. A retry replaces them."""
    await conn.execute(
        "UPDATE company_research SET contacts_dropped = contacts_dropped || jsonb_build_object(%s::text, %s::jsonb)"
        " WHERE company_id = %s",
        (step, Jsonb(dict(dropped)), company_id),
    )


_COMPANY_EVIDENCE = """
    SELECT c.evidence AS company_name, r.facts->'place_evidence'->0 AS state, r.facts->'pms_evidence' AS pms_detected,
           r.facts->'units'->'evidence' AS units_estimate, r.facts->'company_type_evidence' AS company_type,
           r.facts->'description'->'evidence' AS description
    FROM unnest(%s::uuid[]) WITH ORDINALITY AS wanted (company_id, place)
    JOIN company_candidates c USING (company_id)
    JOIN company_research r USING (company_id)
    ORDER BY place
"""
_CONTACT_EVIDENCE = """
    SELECT person->'evidence' AS full_name, person->'evidence' AS title,
           -- The evidence of an inferred address is other people's addresses.
           CASE WHEN person->>'email_basis' IS NULL THEN person->'email_evidence' END AS email,
           person->'linkedin_evidence' AS linkedin_url, person->'note_evidence' AS personalization_notes
    FROM unnest(%s::uuid[]) WITH ORDINALITY AS wanted (company_id, place)
    JOIN contact_candidates USING (company_id)
    WHERE rank IS NOT NULL
    ORDER BY place, rank
"""
_SITE_URLS = """
    SELECT jsonb_path_query_array(pages, '$[*].url')
    FROM unnest(%s::uuid[]) WITH ORDINALITY AS wanted (company_id, place)
    JOIN company_research USING (company_id)
    ORDER BY place
"""
