"""Companies at hand without any search: accounts that were imported, and companies that earlier runs have proven."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.evidence import Evidence
from domain.search_plan import StoredSources
from store.database import Connection


class Wanted(BaseModel):
    """What a company at hand has to fit, as far as is known of it. Empty means any.

    Attributes:
        vendors: property management software by canonical name.
        states, cities: cities in any case.
    """

    model_config = ConfigDict(frozen=True)

    vendors: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    cities: tuple[str, ...] = ()


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


class KnownCompany(BaseModel):
    """A company as an earlier run left it; its site is looked at again."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    domain: str
    website: str
    city: str | None
    state: str | None
    discovery_source: str
    evidence: Evidence


_KNOWN = """
    FROM company_candidates c
    JOIN company_research r USING (company_id)
    CROSS JOIN LATERAL (SELECT r.facts->'places'->0 AS place) AS office
    WHERE c.run_id <> %(run_id)s AND c.domain IS NOT NULL AND c.website IS NOT NULL
      AND c.status IN ('complete', 'rejected', 'needs_review')
      AND c.reason IS DISTINCT FROM 'icp_disqualified'     -- proven to be no customer, whatever is asked
      AND (cardinality(%(vendors)s::text[]) = 0 OR r.facts->>'pms' = ANY(%(vendors)s))
      AND (cardinality(%(states)s::text[]) = 0 OR place->>'state' = ANY(%(states)s))
      AND (cardinality(%(cities)s::text[]) = 0 OR lower(place->>'city') = ANY(%(cities)s))
"""
# A seed without a name cannot be told from any other, and one of an unknown place may be anywhere: it is tried.
_SEEDS = """
    FROM pms_subdomains
    WHERE company_name IS NOT NULL
      AND (cardinality(%(vendors)s::text[]) = 0 OR vendor = ANY(%(vendors)s))
      AND (cardinality(%(states)s::text[]) = 0 OR state IS NULL OR state = ANY(%(states)s))
      AND (cardinality(%(cities)s::text[]) = 0 OR city IS NULL OR lower(city) = ANY(%(cities)s))
"""


async def count_at_hand(conn: Connection, run_id: UUID, wanted: Wanted) -> StoredSources:
    """How many companies that fit are at hand."""
    values = _values(run_id, wanted)
    seeds = await (await conn.execute(f"SELECT count(*) AS n {_SEEDS}", values)).fetchone()
    known = await (await conn.execute(f"SELECT count(DISTINCT domain) AS n {_KNOWN}", values)).fetchone()
    return StoredSources(seeds=seeds["n"] if seeds else 0, known_companies=known["n"] if known else 0)


async def seeds(conn: Connection, run_id: UUID, wanted: Wanted, limit: int) -> list[Seed]:
    """Imported accounts that fit, in a fixed order."""
    cursor = await conn.execute(
        f"SELECT * {_SEEDS} ORDER BY state, company_name, slug LIMIT %(limit)s",
        _values(run_id, wanted) | {"limit": limit},
    )
    return [Seed.model_validate(row) for row in await cursor.fetchall()]


async def known_companies(conn: Connection, run_id: UUID, wanted: Wanted, limit: int) -> list[KnownCompany]:
    """Companies of earlier runs that fit, each domain once as last seen, those that were complete first."""
    cursor = await conn.execute(
        f"""
        SELECT * FROM (
            SELECT DISTINCT ON (c.domain) c.name, c.domain, c.website, place->>'city' AS city, place->>'state' AS state,
                   c.discovery_source, c.evidence, c.status
            {_KNOWN}
            ORDER BY c.domain, c.updated_at DESC
        ) AS latest
        ORDER BY status <> 'complete', domain LIMIT %(limit)s
        """,  # noqa: S608
        _values(run_id, wanted) | {"limit": limit},
    )
    return [KnownCompany.model_validate(row) for row in await cursor.fetchall()]


def _values(run_id: UUID, wanted: Wanted) -> dict[str, object]:
    return {
        "run_id": run_id,
        "vendors": list(wanted.vendors),
        "states": list(wanted.states),
        "cities": [city.lower() for city in wanted.cities],
    }
