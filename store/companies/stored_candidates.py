"""Stored candidates: imported accounts, and companies from earlier runs."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.evidence import Evidence
from domain.request.search_plan import StoredCandidates
from store.database import Connection, fetch_models, fetch_value


class Wanted(BaseModel):
    """What a stored candidate must match. An empty field matches everything.

    Attributes:
        vendors: property management software, by canonical name.
        cities: case does not matter.
        company_types: types to include although they normally disqualify a company (``domain/company/icp.py``).
    """

    model_config = ConfigDict(frozen=True)

    vendors: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    cities: tuple[str, ...] = ()
    company_types: tuple[str, ...] = ()


class Seed(BaseModel):
    model_config = ConfigDict(frozen=True)

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
    model_config = ConfigDict(frozen=True)

    name: str
    domain: str
    website: str
    city: str | None
    state: str | None
    discovery_source: str
    evidence: Evidence


async def count_stored_candidates(conn: Connection, run_id: UUID, wanted: Wanted) -> StoredCandidates:
    values = _values(run_id, wanted)
    return StoredCandidates(
        seeds=await fetch_value(conn, f"SELECT count(*) {_SEEDS}", values),
        known_companies=await fetch_value(conn, f"SELECT count(*) {_cached(wanted)}", values),
    )


async def seeds(conn: Connection, run_id: UUID, wanted: Wanted, limit: int) -> list[Seed]:
    """Return matching imported accounts, in a fixed order."""
    query = f"SELECT * {_SEEDS} ORDER BY state, company_name, slug LIMIT %(limit)s"
    return await fetch_models(conn, Seed, query, _values(run_id, wanted) | {"limit": limit})


async def known_companies(conn: Connection, run_id: UUID, wanted: Wanted, limit: int) -> list[CachedCompany]:
    """Return matching cached companies: first those with known people, then those with full research."""
    query = f"""
        SELECT k.name, k.domain, k.website, k.city, k.state, k.discovery_source, k.evidence
        {_cached(wanted)}
        ORDER BY NOT EXISTS (SELECT 1 FROM known_contacts p WHERE p.domain = k.domain), NOT k.research_complete, k.domain
        LIMIT %(limit)s
    """  # noqa: S608
    return await fetch_models(conn, CachedCompany, query, _values(run_id, wanted) | {"limit": limit})


# Leaves out companies that this run has read, proven misfits, and permanently suppressed domains.
_CACHED = """
    FROM known_companies k
    WHERE NOT EXISTS (SELECT 1 FROM company_candidates c WHERE c.company_id = k.site_company_id AND c.run_id = %(run_id)s)
      AND (k.icp->>'fit' IS DISTINCT FROM 'no'
           OR (k.icp->>'company_type' = ANY(%(company_types)s) AND NOT k.icp->'disqualifiers' ?| %(gone)s))
      AND NOT EXISTS (SELECT 1 FROM suppression_domains s WHERE s.domain = k.domain AND s.reason <> 'contacted')
"""
# A seed without a place matches every place.
_SEEDS = """
    FROM pms_subdomains
    WHERE company_name IS NOT NULL
      AND (cardinality(%(vendors)s::text[]) = 0 OR vendor = ANY(%(vendors)s))
      AND (cardinality(%(states)s::text[]) = 0 OR state IS NULL OR state = ANY(%(states)s))
      AND (cardinality(%(cities)s::text[]) = 0 OR city IS NULL OR lower(city) = ANY(%(cities)s))
"""


def _cached(wanted: Wanted) -> str:
    # Add only the conditions that are needed, because Postgres uses no index for an optional condition.
    asked = {
        "k.facts->>'pms' = ANY(%(vendors)s)": wanted.vendors,
        "k.state = ANY(%(states)s)": wanted.states,
        "lower(k.city) = ANY(%(cities)s)": wanted.cities,
    }
    return " AND ".join([_CACHED, *(condition for condition, values in asked.items() if values)])


def _values(run_id: UUID, wanted: Wanted) -> dict[str, object]:
    return {
        "run_id": run_id,
        "vendors": list(wanted.vendors),
        "states": list(wanted.states),
        "cities": [city.lower() for city in wanted.cities],
        "company_types": list(wanted.company_types),
        "gone": ["no_active_management", "defunct"],
    }
