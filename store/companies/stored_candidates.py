"""Companies at hand without any search: accounts that were imported, and companies that earlier runs have proven."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.evidence import Evidence
from domain.request.search_plan import StoredCandidates
from store.database import Connection


class Wanted(BaseModel):
    """What a company at hand has to fit, as far as is known of it. Empty means any.

    Attributes:
        vendors: property management software by canonical name.
        states, cities: cities in any case.
        company_types: wanted even though they are no customers otherwise (``domain/company/icp.py``).
    """

    model_config = ConfigDict(frozen=True)

    vendors: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    cities: tuple[str, ...] = ()
    company_types: tuple[str, ...] = ()


class Seed(BaseModel):
    """An imported account of a vendor; proves nothing until the company's own site shows it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    vendor: str
    slug: str
    portal_url: str | None
    company_name: str
    website: str | None
    city: str | None
    state: str | None
    phone: str | None
    source: str


class CachedCompany(BaseModel):
    """A company as an earlier run has found it; its site is looked at again."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    domain: str
    website: str
    city: str | None
    state: str | None
    discovery_source: str
    evidence: Evidence


# Left out: those that this very run has read; those proven to be no customer, unless their type is asked for; and those
# that are listed by domain for good, of which an earlier run may have met many. Who is delivered says the gate.
_KNOWN = """
    FROM known_companies k
    WHERE NOT EXISTS (SELECT 1 FROM company_candidates c WHERE c.company_id = k.site_company_id AND c.run_id = %(run_id)s)
      AND (k.icp->>'fit' IS DISTINCT FROM 'no'
           OR (k.icp->>'company_type' = ANY(%(company_types)s) AND NOT k.icp->'disqualifiers' ?| %(gone)s))
      AND NOT EXISTS (SELECT 1 FROM suppression_domains s WHERE s.domain = k.domain AND s.reason <> 'contacted')
"""
# A seed without a name cannot be told from any other, and one of an unknown place may be anywhere: it is tried.
_SEEDS = """
    FROM pms_subdomains
    WHERE company_name IS NOT NULL
      AND (cardinality(%(vendors)s::text[]) = 0 OR vendor = ANY(%(vendors)s))
      AND (cardinality(%(states)s::text[]) = 0 OR state IS NULL OR state = ANY(%(states)s))
      AND (cardinality(%(cities)s::text[]) = 0 OR city IS NULL OR lower(city) = ANY(%(cities)s))
"""


async def count_stored_candidates(conn: Connection, run_id: UUID, wanted: Wanted) -> StoredCandidates:
    """How many companies that fit are at hand."""
    values = _values(run_id, wanted)
    seeds = await (await conn.execute(f"SELECT count(*) AS n {_SEEDS}", values)).fetchone()
    known = await (await conn.execute(f"SELECT count(*) AS n {_known(wanted)}", values)).fetchone()
    return StoredCandidates(seeds=seeds["n"] if seeds else 0, known_companies=known["n"] if known else 0)


async def seeds(conn: Connection, run_id: UUID, wanted: Wanted, limit: int) -> list[Seed]:
    """Imported accounts that fit, in a fixed order."""
    cursor = await conn.execute(
        f"SELECT * {_SEEDS} ORDER BY state, company_name, slug LIMIT %(limit)s",
        _values(run_id, wanted) | {"limit": limit},
    )
    return [Seed.model_validate(row) for row in await cursor.fetchall()]


async def known_companies(conn: Connection, run_id: UUID, wanted: Wanted, limit: int) -> list[CachedCompany]:
    """Known companies that fit, in a fixed order: those whose people are known too come first, then those researched."""
    cursor = await conn.execute(
        f"""
        SELECT k.name, k.domain, k.website, k.city, k.state, k.discovery_source, k.evidence
        {_known(wanted)}
        ORDER BY NOT EXISTS (SELECT 1 FROM known_contacts p WHERE p.domain = k.domain), NOT k.research_complete, k.domain
        LIMIT %(limit)s
        """,  # noqa: S608
        _values(run_id, wanted) | {"limit": limit},
    )
    return [CachedCompany.model_validate(row) for row in await cursor.fetchall()]


def _known(wanted: Wanted) -> str:
    """``_KNOWN`` with the conditions that are asked for and no others: a condition that may be empty uses no index."""
    asked = {
        "k.facts->>'pms' = ANY(%(vendors)s)": wanted.vendors,
        "k.state = ANY(%(states)s)": wanted.states,
        "lower(k.city) = ANY(%(cities)s)": wanted.cities,
    }
    return " AND ".join([_KNOWN, *(condition for condition, values in asked.items() if values)])


def _values(run_id: UUID, wanted: Wanted) -> dict[str, object]:
    return {
        "run_id": run_id,
        "vendors": list(wanted.vendors),
        "states": list(wanted.states),
        "cities": [city.lower() for city in wanted.cities],
        "company_types": list(wanted.company_types),
        "gone": ["no_active_management", "defunct"],
    }
