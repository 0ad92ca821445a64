"""Stored companies, their stored pages, and updates of their software detection.

``usecases/redetect.py`` decides what may change.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.company.criteria_verdicts import Verdict
from domain.company.facts import CompanyFacts
from domain.company.icp import IcpResult
from domain.company.status import CompanyStatus, ReasonCode
from domain.request.criteria import Criteria
from domain.request.progress import RunStatus
from store.companies import companies
from store.database import Connection, as_json, fetch_model, fetch_models

_BATCH = 200


class StoredPage(BaseModel):
    """A stored page of a company's site. ``page_hash`` is the key of its body."""

    model_config = ConfigDict(frozen=True)

    result_id: str
    url: str
    final_url: str
    redirects: tuple[str, ...]
    page_hash: str


class StoredCompany(BaseModel):
    """A company with stored facts.

    Attributes:
        delivered: it is in the files of a completed run.
        researched: an agent has read its pages, so it has a grade.
        own_domains: registrable domain and aliases.
        page_urls: pages it was judged from, home page first.
    """

    model_config = ConfigDict(frozen=True)

    company_id: UUID
    run_id: UUID
    run_status: RunStatus
    criteria: Criteria
    delivered: bool
    name: str
    status: CompanyStatus
    reason: ReasonCode | None
    own_domains: frozenset[str]
    facts: CompanyFacts
    researched: bool
    page_urls: tuple[str, ...]
    updated_at: datetime


_COMPANIES = """
    SELECT c.company_id, c.run_id, r.status AS run_status, r.criteria, c.name, c.status, c.reason,
           r.status = 'completed' AND c.company_id = ANY(coalesce(r.selected, '{}')) AS delivered,
           CASE WHEN c.domain IS NULL THEN c.aliases ELSE array_prepend(c.domain, c.aliases) END AS own_domains,
           f.facts, f.researched, f.updated_at,
           ARRAY(SELECT page->>'url' FROM jsonb_array_elements(f.pages) WITH ORDINALITY AS p (page, place)
                 ORDER BY place) AS page_urls
    FROM company_candidates c
    JOIN company_research f USING (company_id)
    JOIN runs r ON r.run_id = c.run_id
"""


async def create_page_index(conn: Connection, run_id: UUID | None) -> None:
    """Copy a run's page results (None: all runs') to an indexed temporary table. Requires autocommit.

    A permanent index would slow down every fetch.
    """
    await conn.execute("DROP TABLE IF EXISTS pg_temp.read_page")
    await conn.execute(
        """
        CREATE TEMPORARY TABLE read_page AS
        SELECT t.result_id, t.payload->>'url' AS url, t.payload->>'final_url' AS final_url,
               t.payload->'redirects' AS redirects, t.page_hash, t.fetched_at
        FROM tool_results t
        WHERE t.tool = 'fetch_page' AND t.status = 'ok' AND t.page_hash IS NOT NULL
          AND t.payload->>'final_url' IN (
              SELECT page->>'url' FROM company_research f CROSS JOIN LATERAL jsonb_array_elements(f.pages) AS p (page)
              WHERE %(run_id)s::uuid IS NULL OR f.run_id = %(run_id)s)
        """,
        {"run_id": run_id},
    )
    await conn.execute("CREATE INDEX ON read_page (final_url, fetched_at DESC)")
    await conn.execute("ANALYZE read_page")


async def stored_companies(conn: Connection, run_id: UUID | None) -> AsyncIterator[StoredCompany]:
    """Yield the companies of a run that have facts (None: of all runs), in batches."""
    after = UUID(int=0)
    while True:
        rows = await fetch_models(
            conn,
            StoredCompany,
            _COMPANIES
            + """
            WHERE c.company_id > %(after)s AND (%(run_id)s::uuid IS NULL OR c.run_id = %(run_id)s)
            ORDER BY c.company_id LIMIT %(batch)s
            """,
            {"after": after, "run_id": run_id, "batch": _BATCH},
        )
        for row in rows:
            yield row
        if len(rows) < _BATCH:
            return
        after = rows[-1].company_id


async def pages_read_at(conn: Connection, urls: Sequence[str]) -> list[StoredPage]:
    """Return stored pages read at these URLs, newest first. Requires ``create_page_index``."""
    query = "SELECT * FROM read_page WHERE final_url = ANY(%s) ORDER BY fetched_at DESC, result_id"
    return await fetch_models(conn, StoredPage, query, (list(urls),))


async def lock_company(conn: Connection, company: StoredCompany) -> StoredCompany:
    """Lock a company until the transaction ends, and reload it. Raises LookupError if it is gone."""
    # Same lock order as an applied decision, to avoid a deadlock. The lock also keeps the run from ending.
    await conn.execute("SELECT 1 FROM runs WHERE run_id = %s FOR SHARE", (company.run_id,))
    await companies.lock_run(conn, company.run_id)
    await conn.execute("SELECT 1 FROM company_research WHERE company_id = %s FOR UPDATE", (company.company_id,))
    current = await fetch_model(conn, StoredCompany, f"{_COMPANIES} WHERE c.company_id = %s", (company.company_id,))
    if current is None:
        raise LookupError(f"company {company.company_id} is no longer stored")
    return current


async def save_detection(
    conn: Connection, company_id: UUID, facts: CompanyFacts, judged: tuple[Sequence[Verdict], IcpResult | None] | None
) -> None:
    """Store facts with a new detection. ``judged``: new verdicts and grade, or None to keep the stored ones."""
    query = "UPDATE company_research SET facts = %s, updated_at = now() WHERE company_id = %s"
    await conn.execute(query, (as_json(facts), company_id))
    if judged is not None:
        query = "UPDATE company_research SET verdicts = %s, icp = %s WHERE company_id = %s"
        await conn.execute(query, (as_json(judged[0]), as_json(judged[1]), company_id))
