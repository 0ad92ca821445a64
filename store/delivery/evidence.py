"""The evidence for a run's cells, and the companies that are in none of its files. Read-only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.company.hosts import registrable_domain
from domain.company.status import CompanyStatus, ReasonCode
from domain.delivery.evidence_cells import CompanyRecord, ContactRecord
from domain.delivery.rejected_rows import NOT_DELIVERED, EndedCompany
from store.database import Connection, fetch_models, fetch_rows

_ID_PREFIX_MIN = 8


class CompanyEvidence(BaseModel):
    """A company with the evidence for its cells. ``accepted_by`` is the person who overruled the criteria."""

    model_config = ConfigDict(frozen=True)

    company_id: UUID
    status: CompanyStatus
    reason: ReasonCode | None
    accepted_by: str | None
    accepted_at: datetime | None
    record: CompanyRecord


class CompanyMatch(BaseModel):
    """A company that matches what a person typed."""

    model_config = ConfigDict(frozen=True)

    company_id: UUID
    name: str
    domain: str | None
    status: CompanyStatus


async def load_evidence(conn: Connection, company_ids: Sequence[UUID]) -> list[CompanyEvidence]:
    """Return companies of any status, in the order of the ids. Raises LookupError if one is not stored."""
    ids = list(company_ids)
    contacts: dict[UUID, list[ContactRecord]] = {}
    for row in await fetch_rows(conn, _CONTACTS, (ids,)):
        contacts.setdefault(row.pop("company_id"), []).append(ContactRecord.model_validate(row))
    rows = await fetch_rows(conn, _COMPANIES, (ids,))
    if len(rows) != len(ids):
        raise LookupError(f"{len(ids) - len(rows)} of {len(ids)} companies are not stored")
    return [_company(row, contacts.get(row["company_id"], [])) for row in rows]


def _company(row: dict[str, Any], contacts: list[ContactRecord]) -> CompanyEvidence:
    record = {"named_by": row["evidence"], "contacts": tuple(contacts)}
    names = ("name", "domain", "website", "discovery_source", "created_at", "icp")
    record |= {name: row[name] for name in names}
    if row["facts"] is not None:
        record["facts"] = row["facts"]
    return CompanyEvidence.model_validate({**row, "record": record})


async def rejected_companies(conn: Connection, run_id: UUID) -> list[EndedCompany]:
    """Return companies that ended without delivery, in order of discovery."""
    query = """
        SELECT c.name, c.website, c.status, c.reason, c.reason_detail, owner.name AS duplicate_of,
               coalesce(r.facts, '{}') AS facts
        FROM company_candidates c
        LEFT JOIN company_research r USING (company_id)
        LEFT JOIN company_candidates owner ON owner.company_id = c.duplicate_of
        WHERE c.run_id = %s AND c.status = ANY(%s)
        ORDER BY c.position, c.company_id
    """
    return await fetch_models(conn, EndedCompany, query, (run_id, [status.value for status in NOT_DELIVERED]))


async def find_companies(conn: Connection, run_id: UUID, text: str) -> list[CompanyMatch]:
    """Return companies by id (or its first 8 or more characters), own domain, exact name, or alias.

    Returns only matches of the first kind that has any. Returns duplicates only if nothing else matches.
    """
    wanted = text.strip()
    rows = await fetch_rows(
        conn,
        """
        SELECT company_id, name, domain, status, kind
        FROM company_candidates
        CROSS JOIN LATERAL (
            SELECT CASE WHEN %(id)s <> '' AND starts_with(company_id::text, %(id)s) THEN 1
                        WHEN domain = %(domain)s THEN 2
                        WHEN lower(name) = lower(%(text)s) THEN 3
                        WHEN %(domain)s = ANY(aliases) THEN 4 END AS kind
        ) AS named
        WHERE run_id = %(run_id)s AND kind IS NOT NULL
        ORDER BY kind, position, company_id
        """,
        {
            "run_id": run_id,
            "text": wanted,
            "id": wanted.lower() if len(wanted) >= _ID_PREFIX_MIN else "",
            "domain": registrable_domain(wanted.lower()),
        },
    )
    found = [CompanyMatch.model_validate(row) for row in rows if row["kind"] == rows[0]["kind"]]
    return [match for match in found if match.status is not CompanyStatus.DUPLICATE] or found


_COMPANIES = """
    SELECT c.*, r.facts, r.icp
    FROM unnest(%s::uuid[]) WITH ORDINALITY AS wanted (company_id, place)
    JOIN company_candidates c USING (company_id) LEFT JOIN company_research r USING (company_id)
    ORDER BY wanted.place
"""
# The rows of the contacts file, best first.
_CONTACTS = """
    SELECT company_id, person, department, seniority, quality_score, created_at FROM contact_candidates
    WHERE company_id = ANY(%s) AND rank IS NOT NULL
    ORDER BY company_id, rank
"""
