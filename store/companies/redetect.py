"""Stored companies with the pages they were judged from, and a new detection written back.

Tables ``company_research`` and ``tool_results``. Nothing here detects anything: that is ``tools/pms``; what may be written for
whom is said in ``usecases/redetect.py``.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from domain.company.criteria_verdicts import Verdict
from domain.company.facts import CompanyFacts
from domain.company.icp import IcpResult
from domain.company.status import CompanyStatus, ReasonCode
from domain.request.criteria import Criteria
from domain.request.progress import RunStatus
from store.companies import companies
from store.database import Connection

_BATCH = 200  # companies with their page references in memory at a time; never a page's body


class StoredPage(BaseModel):
    """A stored page of a company's site: what was asked for, what answered, and the key of the body."""

    model_config = ConfigDict(frozen=True)

    result_id: str
    url: str
    final_url: str
    redirects: tuple[str, ...]
    page_hash: str


class StoredCompany(BaseModel):
    """A company that code has judged.

    Attributes:
        delivered: in the files of a completed run.
        researched: an agent has read its pages, so that it has a grade.
        own_domains: the registrable domain of its site and its aliases.
        page_urls: where the pages it was judged from were read, home page first.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

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
    """Prepare ``stored_companies``: the page results of a run (None: of all), findable by where they were read.

    A temporary table of this connection: the results are indexed by what was asked for, and a command that is run once in
    a while is no reason for an index that every fetch would pay for. ``conn`` is in autocommit.
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
    """The judged companies of a run (None: of all), a batch in memory at a time; what is stored meanwhile may be missed."""
    after = UUID(int=0)
    while True:
        cursor = await conn.execute(
            _COMPANIES
            + """
            WHERE c.company_id > %(after)s AND (%(run_id)s::uuid IS NULL OR c.run_id = %(run_id)s)
            ORDER BY c.company_id LIMIT %(batch)s
            """,
            {"after": after, "run_id": run_id, "batch": _BATCH},
        )
        rows = [StoredCompany.model_validate(row) for row in await cursor.fetchall()]
        for row in rows:
            yield row
        if len(rows) < _BATCH:
            return
        after = rows[-1].company_id


async def pages_read_at(conn: Connection, urls: Sequence[str]) -> list[StoredPage]:
    """Every stored result of pages read at these addresses, the newest first (after ``create_page_index``)."""
    cursor = await conn.execute(
        "SELECT * FROM read_page WHERE final_url = ANY(%s) ORDER BY fetched_at DESC, result_id", (list(urls),)
    )
    return [StoredPage.model_validate(row) for row in await cursor.fetchall()]


async def lock_company(conn: Connection, company: StoredCompany) -> StoredCompany:
    """The company as it is now, kept from changing until the end of the transaction.

    Raises:
        LookupError: it is no longer there.
    """
    # In this order, as a decision that is applied takes them. The run cannot be completed meanwhile.
    await conn.execute("SELECT 1 FROM runs WHERE run_id = %s FOR SHARE", (company.run_id,))
    await companies.lock_run(conn, company.run_id)
    await conn.execute("SELECT 1 FROM company_research WHERE company_id = %s FOR UPDATE", (company.company_id,))
    cursor = await conn.execute(_COMPANIES + " WHERE c.company_id = %s", (company.company_id,))
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(f"company {company.company_id} is no longer stored")
    return StoredCompany.model_validate(row)


async def save_detection(
    conn: Connection, company_id: UUID, facts: CompanyFacts, judged: tuple[Sequence[Verdict], IcpResult | None] | None
) -> None:
    """Store facts with a new detection, and with ``judged`` the verdicts and the grade that follow from them."""
    changes: dict[str, Any] = {"company_id": company_id, "facts": Jsonb(facts.model_dump(mode="json"))}
    if judged is None:
        await conn.execute(
            "UPDATE company_research SET facts = %(facts)s, updated_at = now() WHERE company_id = %(company_id)s",
            changes,
        )
        return
    verdicts, icp = judged
    changes["verdicts"] = Jsonb([verdict.model_dump(mode="json") for verdict in verdicts])
    changes["icp"] = Jsonb(icp.model_dump(mode="json")) if icp else None
    await conn.execute(
        """
        UPDATE company_research SET facts = %(facts)s, verdicts = %(verdicts)s, icp = %(icp)s, updated_at = now()
        WHERE company_id = %(company_id)s
        """,
        changes,
    )
