"""Companies of a run. Tables ``company_candidates``, ``company_identities`` and ``company_research``."""

from collections.abc import Sequence
from datetime import datetime
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
from store.database import (
    Connection,
    as_json,
    fetch_column,
    fetch_model,
    fetch_models,
    fetch_rows,
    fetch_value,
)


class Candidate(BaseModel):
    """A company as a source names it. Only the name is proven."""

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
    """A stored company of a run. ``accepted_by`` is the person who overruled the criteria for it."""

    model_config = ConfigDict(frozen=True)

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
    accepted_by: str | None = None


class SitePageRef(BaseModel):
    model_config = ConfigDict(frozen=True)

    url: str
    title: str


class ResearchRow(BaseModel):
    """Facts about a company. ``researched`` is False if only code has read its pages, not an agent."""

    model_config = ConfigDict(frozen=True)

    facts: CompanyFacts
    pages: tuple[SitePageRef, ...] = ()
    icp: IcpResult | None = None
    dropped: dict[str, int] = {}
    researched: bool = False


async def lock_run(conn: Connection, run_id: UUID) -> None:
    """Let only one transaction at a time change a run's companies. The lock lasts until the transaction ends."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (str(run_id),))


async def insert_candidate(
    conn: Connection, run_id: UUID, task_id: UUID | None, position: int, candidate: Candidate
) -> bool:
    """Store a candidate unless the run has it already. Returns whether it is new.

    Requires ``lock_run``, so that sequence numbers are committed in order.
    """
    cursor = await conn.execute(
        """
        INSERT INTO company_candidates
            (run_id, position, candidate_key, name, url, city, state, phone, discovery_source, evidence, search_task_id)
        VALUES (%(run_id)s, %(position)s, %(candidate_key)s, %(name)s, %(url)s, %(city)s, %(state)s, %(phone)s,
                %(discovery_source)s, %(evidence)s, %(task_id)s)
        ON CONFLICT (run_id, candidate_key) DO NOTHING
        """,
        candidate.model_dump()
        | {"run_id": run_id, "position": position, "task_id": task_id, "evidence": as_json(candidate.evidence)},
    )
    return cursor.rowcount == 1


async def next_position(conn: Connection, task_id: UUID, first: int) -> int:
    """Return the position of a search task's next company, or ``first`` for its first one. Requires ``lock_run``."""
    query = "SELECT coalesce(max(position) + 1, %s) FROM company_candidates WHERE search_task_id = %s"
    return int(await fetch_value(conn, query, (first, task_id)))


async def list_candidates(conn: Connection, task_id: UUID) -> list[Candidate]:
    """Return the companies that this search task was the first to find, in order, without forgotten ones."""
    return await fetch_models(
        conn,
        Candidate,
        """
        SELECT * FROM company_candidates
        WHERE search_task_id = %s AND candidate_key NOT LIKE 'forgotten:%%' ORDER BY position
        """,
        (task_id,),
    )


async def list_open_after(conn: Connection, run_id: UUID, after_seq: int, limit: int) -> tuple[list[CompanyRef], int]:
    """Return open companies after a sequence number, and the number to continue from."""
    rows = await fetch_rows(
        conn,
        """
        SELECT company_id, position, seq FROM company_candidates
        WHERE run_id = %s AND seq > %s AND status = 'found'
        ORDER BY seq LIMIT %s
        """,
        (run_id, after_seq, limit),
    )
    refs = [CompanyRef(company_id=row["company_id"], position=row["position"]) for row in rows]
    return refs, (rows[-1]["seq"] if rows else after_seq)


async def count_open_after(conn: Connection, run_id: UUID, after_seq: int) -> int:
    query = "SELECT count(*) FROM company_candidates WHERE run_id = %s AND seq > %s AND status = 'found'"
    return int(await fetch_value(conn, query, (run_id, after_seq)))


async def get_company(conn: Connection, company_id: UUID) -> CompanyRow:
    """Return a company. Raises LookupError if it does not exist."""
    company = await fetch_model(
        conn, CompanyRow, "SELECT * FROM company_candidates WHERE company_id = %s", (company_id,)
    )
    if company is None:
        raise LookupError(f"no company {company_id}")
    return company


async def list_names(conn: Connection, run_id: UUID, state: str | None, limit: int) -> list[str]:
    """Return names of a run's companies, newest first, as ``Acme Homes (Austin)``.

    A ``state`` leaves out companies in other states.
    """
    return await fetch_column(
        conn,
        """
        SELECT name || coalesce(' (' || city || ')', '') FROM company_candidates
        WHERE run_id = %(run_id)s AND (%(state)s::text IS NULL OR state = %(state)s OR state IS NULL)
        ORDER BY seq DESC LIMIT %(limit)s
        """,
        {"run_id": run_id, "state": state, "limit": limit},
    )


async def list_mentions(conn: Connection, run_id: UUID, but_of: UUID | None = None) -> list[tuple[str, str | None]]:
    """Return name and link of a run's companies, except those that task ``but_of`` found."""
    rows = await fetch_rows(
        conn,
        """
        SELECT name, url FROM company_candidates
        WHERE run_id = %(run_id)s AND (%(but_of)s::uuid IS NULL OR search_task_id IS DISTINCT FROM %(but_of)s)
        """,
        {"run_id": run_id, "but_of": but_of},
    )
    return [(row["name"], row["url"]) for row in rows]


async def set_own_site(conn: Connection, company_id: UUID, domain: str, website: str, aliases: Sequence[str]) -> None:
    """Store a company's proven domain and website. Aliases are added to the stored ones."""
    await conn.execute(
        f"""
        UPDATE company_candidates SET domain = %s, website = %s, updated_at = now(), {_ADD_ALIASES}
        WHERE company_id = %s
        """,  # noqa: S608
        (domain, website, list(aliases), company_id),
    )


async def claim_identity(conn: Connection, run_id: UUID, company_id: UUID, keys: IdentityKeys) -> UUID | None:
    """Claim the keys that identify a company in its run.

    Returns:
        The company that this one duplicates, which gets the aliases. None if this company owns all keys.
    """
    await lock_run(conn, run_id)
    owner = await _owner_by_key(conn, run_id, company_id, keys) or await _owner_by_name(conn, run_id, company_id, keys)
    if owner is not None:
        await conn.execute(
            f"UPDATE company_candidates SET {_ADD_ALIASES} WHERE company_id = %s",  # noqa: S608
            (list(keys.domains), owner),
        )
        return owner
    await conn.cursor().executemany(
        """
        INSERT INTO company_identities (run_id, kind, value, company_id) VALUES (%s, %s, %s, %s)
        ON CONFLICT DO NOTHING
        """,
        [(run_id, kind, value, company_id) for kind, value in keys.claims()],
    )
    return None


_ADD_ALIASES = (
    "aliases = (SELECT coalesce(array_agg(DISTINCT a ORDER BY a), '{}') FROM unnest(aliases || %s::text[]) AS a)"
)


async def _owner_by_key(conn: Connection, run_id: UUID, company_id: UUID, keys: IdentityKeys) -> UUID | None:
    owner: UUID | None = await fetch_value(
        conn,
        """
        SELECT i.company_id FROM company_identities i
        JOIN unnest(%s::text[], %s::text[]) AS k (kind, value) USING (kind, value)
        WHERE i.run_id = %s AND i.company_id <> %s LIMIT 1
        """,
        ([kind for kind, _ in keys.claims()], [value for _, value in keys.claims()], run_id, company_id),
    )
    return owner


async def _owner_by_name(conn: Connection, run_id: UUID, company_id: UUID, keys: IdentityKeys) -> UUID | None:
    if keys.city is None:
        return None
    rows = await fetch_rows(
        conn,
        """
        SELECT DISTINCT c.company_id, c.name, p.place->>'city' AS city, c.position
        FROM company_candidates c
        JOIN company_identities i USING (company_id)
        JOIN company_research r USING (company_id)
        CROSS JOIN LATERAL jsonb_array_elements(r.facts->'places') AS p (place)
        WHERE c.run_id = %s AND c.company_id <> %s AND p.place->>'state' = %s AND p.place->>'city' IS NOT NULL
        ORDER BY c.position
        """,
        (run_id, company_id, keys.state),
    )
    city = normalized_city(keys.city)
    return next(
        (
            row["company_id"]
            for row in rows
            if normalized_city(row["city"]) == city and same_name(row["name"], keys.name)
        ),
        None,
    )


async def end_company(
    conn: Connection,
    company_id: UUID,
    status: CompanyStatus,
    reason: ReasonCode | None,
    detail: str = "",
    duplicate_of: UUID | None = None,
) -> None:
    """Set how a company ended, or reopen it. A forgotten company stays unchanged."""
    await conn.execute(
        """
        UPDATE company_candidates
        SET status = %s, reason = %s, reason_detail = %s, duplicate_of = %s, updated_at = now()
        WHERE company_id = %s AND candidate_key <> 'forgotten:' || company_id
        """,
        (status, reason, detail, duplicate_of, company_id),
    )


async def reopen_by_reason(conn: Connection, run_id: UUID, reasons: Sequence[ReasonCode]) -> int:
    """Reopen the companies that ended for one of the reasons. Returns how many.

    New sequence numbers make a run read them again.
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
    """Store a company's facts, verdicts and grade. The last write wins.

    Args:
        dropped: number of claims without proof, by reason. None keeps the stored numbers.
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
            "facts": as_json(facts),
            "verdicts": as_json(verdicts),
            "icp": as_json(icp),
            "dropped": None if dropped is None else Jsonb(dropped),
            "pages": as_json(pages),
            "researched": researched,
        },
    )


async def get_research(conn: Connection, company_id: UUID) -> ResearchRow | None:
    return await fetch_model(conn, ResearchRow, "SELECT * FROM company_research WHERE company_id = %s", (company_id,))


async def funnel(conn: Connection, run_id: UUID) -> dict[str, int]:
    """Count a run's companies by reason code. ``found`` counts all of them, ``open`` those that have not ended."""
    rows = await fetch_rows(
        conn, "SELECT ended_as, companies FROM v_funnel WHERE run_id = %s ORDER BY ended_as", (run_id,)
    )
    counts = {row["ended_as"]: row["companies"] for row in rows}
    return {"found": sum(counts.values()), **counts}


async def complete_in_order(conn: Connection, run_id: UUID, limit: int) -> list[UUID]:
    """Return the complete companies in selection order."""
    query = """
        SELECT company_id FROM company_candidates WHERE run_id = %s AND status = 'complete'
        ORDER BY position, company_id LIMIT %s
    """
    return await fetch_column(conn, query, (run_id, limit))
