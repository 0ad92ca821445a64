"""Companies of a run: found, identified, judged. Tables ``company_candidates``, ``company_identities``, ``company_research``."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from domain.activity_io import CompanyRef
from domain.company.criteria_verdicts import Verdict
from domain.company.facts import CompanyFacts
from domain.company.icp import IcpResult
from domain.company.identity import IdentityKeys, same_name
from domain.company.places import normalized_city
from domain.company.status import CompanyStatus, ReasonCode
from domain.evidence import Evidence
from store.database import Connection


class Candidate(BaseModel):
    """A company as a source names it, before anything about it is proven but that it was named."""

    model_config = ConfigDict(frozen=True)

    name: str
    url: str | None
    city: str | None
    state: str | None
    phone: str | None
    discovery_source: str
    evidence: Evidence
    candidate_key: str


class CompanyRow(BaseModel):
    """A company of a run as stored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    company_id: UUID
    run_id: UUID
    position: int
    name: str
    url: str | None
    city: str | None
    state: str | None
    phone: str | None
    discovery_source: str
    domain: str | None
    website: str | None
    aliases: tuple[str, ...]
    status: CompanyStatus
    reason: ReasonCode | None
    reason_detail: str
    created_at: datetime
    accepted_by: str | None = None  # a person has overruled the criteria for it


class SitePageRef(BaseModel):
    """A page of the company's own site that was read."""

    model_config = ConfigDict(frozen=True)

    url: str
    title: str


class ResearchRow(BaseModel):
    """What is known of a company. ``researched``: an agent has read its pages, beyond what code found."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    facts: CompanyFacts
    pages: tuple[SitePageRef, ...] = ()
    icp: IcpResult | None = None
    dropped: dict[str, int] = {}
    researched: bool = False


async def insert_candidate(
    conn: Connection, run_id: UUID, task_id: UUID | None, position: int, candidate: Candidate
) -> bool:
    """Store a candidate the moment it is found; one that the run has already keeps the position under which it was read.

    The caller holds the run's lock (``lock_run``), so that sequence numbers become visible in their order.

    Returns:
        Whether it was new to the run.
    """
    cursor = await conn.execute(
        """
        INSERT INTO company_candidates
            (run_id, position, candidate_key, name, url, city, state, phone, discovery_source, evidence, search_task_id)
        VALUES (%(run_id)s, %(position)s, %(key)s, %(name)s, %(url)s, %(city)s, %(state)s, %(phone)s, %(source)s,
                %(evidence)s, %(task_id)s)
        ON CONFLICT (run_id, candidate_key) DO NOTHING
        """,
        {
            "run_id": run_id,
            "position": position,
            "key": candidate.candidate_key,
            "name": candidate.name,
            "url": candidate.url,
            "city": candidate.city,
            "state": candidate.state,
            "phone": candidate.phone,
            "source": candidate.discovery_source,
            "evidence": Jsonb(candidate.evidence.model_dump(mode="json")),
            "task_id": task_id,
        },
    )
    return cursor.rowcount == 1


async def list_candidates(conn: Connection, task_id: UUID) -> list[Candidate]:
    """The companies that a search task was the first to find, as its sources name them, in their order; forgotten ones are left out."""
    cursor = await conn.execute(
        """
        SELECT name, url, city, state, phone, discovery_source, evidence, candidate_key FROM company_candidates
        WHERE search_task_id = %s AND candidate_key NOT LIKE 'forgotten:%%' ORDER BY position
        """,
        (task_id,),
    )
    return [Candidate.model_validate(row) for row in await cursor.fetchall()]


async def next_position(conn: Connection, task_id: UUID, first: int) -> int:
    """The position for the next company of a search task, ``first`` for its first.

    Counted from what is stored, so that a task run again never gives one position to two companies. The caller holds
    the run's lock.
    """
    cursor = await conn.execute(
        "SELECT coalesce(max(position) + 1, %s) AS position FROM company_candidates WHERE search_task_id = %s",
        (first, task_id),
    )
    row = await cursor.fetchone()
    return int(row["position"]) if row else first


async def list_open_after(conn: Connection, run_id: UUID, cursor_seq: int, limit: int) -> tuple[list[CompanyRef], int]:
    """Companies stored after a sequence number, and the sequence number to go on from."""
    rows = await (
        await conn.execute(
            """
            SELECT company_id, position, seq FROM company_candidates
            WHERE run_id = %s AND seq > %s AND status = 'found'
            ORDER BY seq LIMIT %s
            """,
            (run_id, cursor_seq, limit),
        )
    ).fetchall()
    refs = [CompanyRef(company_id=row["company_id"], position=row["position"]) for row in rows]
    return refs, (rows[-1]["seq"] if rows else cursor_seq)


async def count_open_after(conn: Connection, run_id: UUID, cursor_seq: int) -> int:
    """How many companies are stored after a sequence number and have not ended."""
    cursor = await conn.execute(
        "SELECT count(*) AS companies FROM company_candidates WHERE run_id = %s AND seq > %s AND status = 'found'",
        (run_id, cursor_seq),
    )
    row = await cursor.fetchone()
    return int(row["companies"]) if row else 0


async def lock_run(conn: Connection, run_id: UUID) -> None:
    """Serialise what must not interleave within one run, until the end of the transaction."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (str(run_id),))


async def get_company(conn: Connection, company_id: UUID) -> CompanyRow:
    """A company by its id."""
    cursor = await conn.execute("SELECT * FROM company_candidates WHERE company_id = %s", (company_id,))
    return CompanyRow.model_validate(await cursor.fetchone())


async def list_names(conn: Connection, run_id: UUID, state: str | None, limit: int) -> list[str]:
    """Companies already found in a run for a state (or anywhere), newest first, as ``Acme Homes (Austin)``: what an agent need
    not name again. The city tells namesakes apart."""
    cursor = await conn.execute(
        """
        SELECT name || coalesce(' (' || city || ')', '') AS name FROM company_candidates
        WHERE run_id = %(run_id)s AND (%(state)s::text IS NULL OR state = %(state)s OR state IS NULL)
        ORDER BY seq DESC LIMIT %(limit)s
        """,
        {"run_id": run_id, "state": state, "limit": limit},
    )
    return [row["name"] for row in await cursor.fetchall()]


async def mentions(conn: Connection, run_id: UUID, but_of: UUID | None = None) -> list[tuple[str, str | None]]:
    """Name and link of every company found in a run, but for those of one search task: run again, it has to name them again."""
    cursor = await conn.execute(
        """
        SELECT name, url FROM company_candidates
        WHERE run_id = %(run_id)s AND (%(but_of)s::uuid IS NULL OR search_task_id IS DISTINCT FROM %(but_of)s)
        """,
        {"run_id": run_id, "but_of": but_of},
    )
    return [(row["name"], row["url"]) for row in await cursor.fetchall()]


async def set_own_site(conn: Connection, company_id: UUID, domain: str, website: str, aliases: Sequence[str]) -> None:
    """Store the own domain once it is proven; aliases are added to those known."""
    await conn.execute(
        """
        UPDATE company_candidates
        SET domain = %s, website = %s, updated_at = now(),
            aliases = (SELECT coalesce(array_agg(DISTINCT a ORDER BY a), '{}') FROM unnest(aliases || %s::text[]) AS a)
        WHERE company_id = %s
        """,
        (domain, website, list(aliases), company_id),
    )


async def claim_identity(conn: Connection, run_id: UUID, company_id: UUID, keys: IdentityKeys) -> UUID | None:
    """Claim what a company is known by for this run; the first to claim a key owns it.

    Returns:
        None when all keys are this company's now; otherwise the company that it duplicates (nothing is claimed then,
        but the aliases are kept with the owner).
    """
    await lock_run(conn, run_id)
    owner = await _owner_by_key(conn, run_id, company_id, keys) or await _owner_by_name(conn, run_id, company_id, keys)
    if owner is not None:
        await conn.execute(
            """
            UPDATE company_candidates
            SET aliases = (SELECT coalesce(array_agg(DISTINCT a ORDER BY a), '{}') FROM unnest(aliases || %s::text[]) AS a)
            WHERE company_id = %s
            """,
            (list(keys.domains), owner),
        )
        return owner
    for kind, value in keys.claims():
        await conn.execute(
            """
            INSERT INTO company_identities (run_id, kind, value, company_id) VALUES (%s, %s, %s, %s)
            ON CONFLICT DO NOTHING
            """,
            (run_id, kind, value, company_id),
        )
    return None


async def _owner_by_key(conn: Connection, run_id: UUID, company_id: UUID, keys: IdentityKeys) -> UUID | None:
    claims = keys.claims()
    cursor = await conn.execute(
        """
        SELECT i.company_id FROM company_identities i
        JOIN unnest(%s::text[], %s::text[]) AS k (kind, value) USING (kind, value)
        WHERE i.run_id = %s AND i.company_id <> %s LIMIT 1
        """,
        ([kind for kind, _ in claims], [value for _, value in claims], run_id, company_id),
    )
    row = await cursor.fetchone()
    return row["company_id"] if row else None


async def _owner_by_name(conn: Connection, run_id: UUID, company_id: UUID, keys: IdentityKeys) -> UUID | None:
    if keys.city is None:
        return None
    cursor = await conn.execute(
        """
        SELECT DISTINCT c.company_id, c.name, p.place->>'city' AS city, c.position
        FROM company_candidates c
        JOIN company_identities i USING (company_id)
        JOIN company_research r USING (company_id)
        CROSS JOIN LATERAL jsonb_array_elements(r.facts->'places') AS p (place)
        WHERE c.run_id = %s AND c.company_id <> %s AND p.place->>'state' = %s
        ORDER BY c.position
        """,
        (run_id, company_id, keys.state),
    )
    for row in await cursor.fetchall():
        same_city = row["city"] is not None and normalized_city(row["city"]) == normalized_city(keys.city)
        if same_city and same_name(row["name"], keys.name):
            owner: UUID = row["company_id"]
            return owner
    return None


async def end_company(
    conn: Connection,
    company_id: UUID,
    status: CompanyStatus,
    reason: ReasonCode | None,
    detail: str = "",
    duplicate_of: UUID | None = None,
) -> None:
    """Write where a company ended (or that it is ``found`` again). One that was forgotten meanwhile stays as it was left."""
    await conn.execute(
        """
        UPDATE company_candidates
        SET status = %s, reason = %s, reason_detail = %s, duplicate_of = %s, updated_at = now()
        WHERE company_id = %s AND candidate_key <> 'forgotten:' || company_id
        """,
        (status, reason, detail, duplicate_of, company_id),
    )


async def save_research(
    conn: Connection,
    run_id: UUID,
    company_id: UUID,
    facts: CompanyFacts,
    verdicts: Sequence[Verdict],
    icp: IcpResult | None,
    *,
    pages: Sequence[SitePageRef],
    dropped: dict[str, int] | None,
    researched: bool,
) -> None:
    """Store facts, verdicts and grade of a company; written again, the newest stand.

    Args:
        dropped: claims without proof by reason; None leaves the count as it is.
    """
    await conn.execute(
        """
        INSERT INTO company_research (company_id, run_id, facts, verdicts, icp, dropped, pages, researched)
        VALUES (%(company_id)s, %(run_id)s, %(facts)s, %(verdicts)s, %(icp)s, coalesce(%(dropped)s::jsonb, '{}'), %(pages)s,
                %(researched)s)
        ON CONFLICT (company_id) DO UPDATE
        SET facts = excluded.facts, verdicts = excluded.verdicts, icp = excluded.icp,
            dropped = coalesce(%(dropped)s::jsonb, company_research.dropped), pages = excluded.pages,
            researched = excluded.researched, updated_at = now()
        """,
        {
            "company_id": company_id,
            "run_id": run_id,
            "facts": Jsonb(facts.model_dump(mode="json")),
            "verdicts": Jsonb([verdict.model_dump(mode="json") for verdict in verdicts]),
            "icp": Jsonb(icp.model_dump(mode="json")) if icp else None,
            "dropped": None if dropped is None else Jsonb(dropped),
            "pages": Jsonb([page.model_dump(mode="json") for page in pages]),
            "researched": researched,
        },
    )


async def get_research(conn: Connection, company_id: UUID) -> ResearchRow | None:
    """What is known of a company."""
    cursor = await conn.execute("SELECT * FROM company_research WHERE company_id = %s", (company_id,))
    row = await cursor.fetchone()
    return ResearchRow.model_validate(row) if row else None


async def reopen_by_reason(conn: Connection, run_id: UUID, reasons: Sequence[ReasonCode]) -> int:
    """Put companies back that ended for one of the reasons, to be judged anew; returns how many.

    They get new sequence numbers, so that a run that has read past them finds them again.
    """
    cursor = await conn.execute(
        """
        UPDATE company_candidates
        SET status = 'found', reason = NULL, reason_detail = '', seq = DEFAULT, updated_at = now()
        WHERE run_id = %s AND reason = ANY(%s)
        """,
        (run_id, [reason.value for reason in reasons]),
    )
    return cursor.rowcount


async def funnel(conn: Connection, run_id: UUID) -> dict[str, int]:
    """Companies of a run by reason code of their end (``found`` counts all, ``open`` those without an end)."""
    cursor = await conn.execute(
        """
        SELECT CASE WHEN status = 'found' THEN 'open' ELSE coalesce(reason, status) END AS reason, count(*) AS companies
        FROM company_candidates WHERE run_id = %s GROUP BY 1 ORDER BY 1
        """,
        (run_id,),
    )
    counts: dict[str, Any] = {row["reason"]: row["companies"] for row in await cursor.fetchall()}
    return {"found": sum(counts.values()), **counts}


async def complete_in_order(conn: Connection, run_id: UUID, limit: int) -> list[UUID]:
    """Complete companies in the order of the selection."""
    cursor = await conn.execute(
        """
        SELECT company_id FROM company_candidates WHERE run_id = %s AND status = 'complete'
        ORDER BY position, company_id LIMIT %s
        """,
        (run_id, limit),
    )
    return [row["company_id"] for row in await cursor.fetchall()]
