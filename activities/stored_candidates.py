"""Candidates that need no search: imported accounts and companies from earlier runs."""

from datetime import UTC, datetime
from uuid import UUID

from domain.company.hosts import registrable_domain
from domain.company.identity import normalized_phone
from domain.company.places import cities_within, zip_place
from domain.company.pms_vendors import PmsVendor, PortalAccount
from domain.evidence import Evidence
from domain.request.criteria import Criteria
from domain.request.search_plan import TaskKind
from pms.accounts import portal_address
from store.companies import stored_candidates
from store.companies.companies import Candidate
from store.companies.stored_candidates import CachedCompany, Seed, Wanted
from store.database import Connection
from store.tools import tool_results
from store.tools.tool_results import ToolResult

STORED_CANDIDATES_MAX = 10_000
"""The most companies that a run may request."""
_KEPT_S = 10 * 365 * 24 * 3600.0  # the stored row is evidence, so it must not expire like a cache entry


def wanted_candidates(criteria: Criteria) -> Wanted:
    states: tuple[str, ...] = ()
    if criteria.mode_of("place") == "hard":
        states = criteria.states
        if not states:
            near = {city.state for city in cities_within(criteria.zip or "", criteria.radius_miles or 0.0)}
            place = zip_place(criteria.zip) if criteria.zip else None
            states = tuple(sorted(near | ({place.state} if place and place.state else set())))
    return Wanted(
        vendors=tuple(vendor.value for vendor in criteria.pms) if criteria.mode_of("pms") == "hard" else (),
        states=states,
        cities=criteria.cities if criteria.mode_of("place") == "hard" else (),
        company_types=tuple(kind.value for kind in criteria.company_types),
    )


async def find_stored_candidates(conn: Connection, run_id: UUID, kind: TaskKind, criteria: Criteria) -> list[Candidate]:
    """Return the candidates of a ``seeds`` or ``known_companies`` task, in a fixed order."""
    wanted = wanted_candidates(criteria)
    if kind == "known_companies":
        cached = await stored_candidates.known_companies(conn, run_id, wanted, STORED_CANDIDATES_MAX)
        return [_from_cache(company) for company in cached]
    seeds = await stored_candidates.seeds(conn, run_id, wanted, STORED_CANDIDATES_MAX)
    return [await _from_seed(conn, seed) for seed in seeds]


def _from_cache(company: CachedCompany) -> Candidate:
    return Candidate(
        **company.model_dump(exclude={"domain", "website"}),
        url=company.website,
        phone=None,
        candidate_key=f"domain:{company.domain}",
    )


async def _from_seed(conn: Connection, seed: Seed) -> Candidate:
    account = PortalAccount(vendor=PmsVendor(seed.vendor), slug=seed.slug)
    domain = registrable_domain(seed.website) if seed.website else None
    return Candidate(
        name=seed.company_name,
        url=seed.website or portal_address(account),
        city=seed.city,
        state=seed.state,
        phone=normalized_phone(seed.phone),
        discovery_source=f"import:{seed.source}",
        evidence=await _evidence(conn, seed),
        candidate_key=f"domain:{domain}" if domain else f"portal:{account.vendor}:{account.slug}",
    )


async def _evidence(conn: Connection, seed: Seed) -> Evidence:
    """Store the imported row as a tool result, and return it as evidence."""
    parts = (seed.company_name, seed.city, seed.state, seed.website, seed.portal_url, seed.phone)
    text = "\n".join(part for part in parts if part)
    args = {"vendor": seed.vendor, "slug": seed.slug}
    key = tool_results.content_hash(f"{args} {text}")
    result = ToolResult(
        result_id=f"seed-{key[:16]}",
        tool="seed",
        args=args,
        status="ok",
        text=text,
        payload={"source": seed.source},
        fetched_at=datetime.now(UTC),
    )
    await tool_results.save_result(conn, result, key, _KEPT_S, None)
    return Evidence(result_id=result.result_id, url=seed.portal_url or seed.website or "", quote=seed.company_name)
