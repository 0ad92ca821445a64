"""What the cells of a run's files were made from, and the companies that are in none of them.

Reads ``company_candidates``, ``company_research`` and ``contact_candidates``; writes nothing. What each cell rests on is
worked out in ``domain/delivery/evidence_cells.py``.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.company.hosts import registrable_domain
from domain.company.status import CompanyStatus, ReasonCode
from domain.delivery.evidence_cells import CompanyRecord, ContactRecord
from domain.delivery.rejected_rows import NOT_DELIVERED, EndedCompany
from store.database import Connection

_ID_PREFIX_MIN = 8


class CompanyEvidence(BaseModel):
    """A company with all that its cells rest on, and where it stands in its run.

    Attributes:
        accepted_by: who has overruled the criteria for it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    company_id: UUID
    status: CompanyStatus
    reason: ReasonCode | None
    accepted_by: str | None
    accepted_at: datetime | None
    record: CompanyRecord


class CompanyMatch(BaseModel):
    """A company that a person's words may mean."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    company_id: UUID
    name: str
    domain: str | None
    status: CompanyStatus


async def load_evidence(conn: Connection, company_ids: Sequence[UUID]) -> list[CompanyEvidence]:
    """Companies of any status, in the order of the ids.

    Raises:
        LookupError: one of them is not stored.
    """
    ids = list(company_ids)
    contacts = await _contacts_of(conn, ids)
    cursor = await conn.execute(
        """
        SELECT c.company_id, c.status, c.reason, c.accepted_by, c.accepted_at, c.name, c.domain, c.website,
               c.discovery_source, c.evidence, c.created_at, r.facts, r.icp
        FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS wanted (company_id, place)
        JOIN company_candidates c USING (company_id) LEFT JOIN company_research r USING (company_id)
        ORDER BY wanted.place
        """,
        {"ids": ids},
    )
    found = [_company(row, contacts.get(row["company_id"], ())) for row in await cursor.fetchall()]
    if len(found) != len(ids):
        raise LookupError(f"{len(ids) - len(found)} of {len(ids)} companies are not stored")
    return found


def _company(row: dict[str, Any], contacts: Sequence[ContactRecord]) -> CompanyEvidence:
    record = {"named_by": row["evidence"], "icp": row["icp"], "contacts": tuple(contacts)}
    record |= {name: row[name] for name in ("name", "domain", "website", "discovery_source", "created_at")}
    if row["facts"] is not None:
        record["facts"] = row["facts"]
    return CompanyEvidence.model_validate({**row, "record": record})


async def _contacts_of(conn: Connection, company_ids: list[UUID]) -> dict[UUID, list[ContactRecord]]:
    """The selected people of the companies, best first: the rows of the contacts file."""
    cursor = await conn.execute(
        """
        SELECT company_id, person, department, seniority, quality_score, created_at FROM contact_candidates
        WHERE company_id = ANY(%s) AND rank IS NOT NULL
        ORDER BY company_id, rank
        """,
        (company_ids,),
    )
    found: dict[UUID, list[ContactRecord]] = {}
    for row in await cursor.fetchall():
        found.setdefault(row.pop("company_id"), []).append(ContactRecord.model_validate(row))
    return found


async def rejected_companies(conn: Connection, run_id: UUID) -> list[EndedCompany]:
    """Every company of a run that ended without being delivered, in the order in which they were found."""
    cursor = await conn.execute(
        """
        SELECT c.name, c.website, c.status, c.reason, c.reason_detail, owner.name AS duplicate_of,
               coalesce(r.facts, '{}') AS facts
        FROM company_candidates c
        LEFT JOIN company_research r USING (company_id)
        LEFT JOIN company_candidates owner ON owner.company_id = c.duplicate_of
        WHERE c.run_id = %s AND c.status = ANY(%s)
        ORDER BY c.position, c.company_id
        """,
        (run_id, [status.value for status in NOT_DELIVERED]),
    )
    return [EndedCompany.model_validate(row) for row in await cursor.fetchall()]


async def find_companies(conn: Connection, run_id: UUID, text: str) -> list[CompanyMatch]:
    """Companies of a run that a text names, by the best kind of name alone: id (or its first 8 characters), own domain,
    exact name in any case, then an alias.

    Duplicates are left out where the company that they duplicate is meant as well.
    """
    wanted = text.strip()
    cursor = await conn.execute(
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
    rows = await cursor.fetchall()
    found = [CompanyMatch.model_validate(row) for row in rows if row["kind"] == rows[0]["kind"]]
    return [match for match in found if match.status is not CompanyStatus.DUPLICATE] or found
