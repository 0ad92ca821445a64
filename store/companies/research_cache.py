"""Research that later runs reuse. Tables ``known_companies`` (by domain) and ``known_contacts``.

A run writes here in the transaction that stores its own research. An older result never overwrites a newer one.
Facts have two ages: code reads places and software from the site, and an agent proves the rest.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from domain.company.facts import CompanyFacts, CompanyType
from domain.company.hosts import normalized_host, registrable_domain
from domain.company.icp import IcpResult
from domain.contact.person import Person, person_key
from store.companies.companies import SitePageRef
from store.database import Connection, as_json, fetch_model, fetch_models, fetch_value

_SOFTWARE = ("pms_status", "pms", "pms_slug", "pms_evidence", "pms_reason")
_SITE_FACTS = frozenset({"places", "place_evidence", *_SOFTWARE})  # an agent proves all other facts
# Each fact, and the field of its evidence if it has one.
_RESEARCHED_FACTS = (
    ("company_type", "company_type_evidence"),
    ("manages_for_owners", "manages_evidence"),
    ("closed_evidence",),
    ("units",),
    ("employees", "employees_evidence"),
    ("description",),
    ("website_vendor",),
    ("associations",),
    ("places_served",),
)


def lacks_researched_facts(facts: CompanyFacts) -> bool:
    """Whether the facts hold only what code read from the site."""
    return not any(_has(facts, names[0]) for names in _RESEARCHED_FACTS)


def _has(facts: CompanyFacts, name: str) -> bool:
    return getattr(facts, name) not in (None, CompanyType.UNKNOWN, ())


class CachedResearch(BaseModel):
    """What an agent proved. ``missing_fields`` were asked for, but no page gives them."""

    model_config = ConfigDict(frozen=True)

    facts: CompanyFacts
    researched_at: datetime
    missing_fields: tuple[str, ...] = ()

    def with_site_facts(self, site: CompanyFacts) -> CompanyFacts:
        """Return these facts with the places and software of ``site``."""
        return self.facts.model_copy(update={name: getattr(site, name) for name in _SITE_FACTS})

    def fill_gaps_of(self, newer: CompanyFacts) -> CompanyFacts:
        """Return ``newer``, with these facts where it has none. An answer that omits a fact does not disprove it."""
        gaps = [names for names in _RESEARCHED_FACTS if not _has(newer, names[0]) and _has(self.facts, names[0])]
        return newer.model_copy(update={name: getattr(self.facts, name) for names in gaps for name in names})


class CachedPerson(BaseModel):
    model_config = ConfigDict(frozen=True)

    person: Person
    found_at: datetime


async def cache_site(
    conn: Connection, company_id: UUID, facts: CompanyFacts, pages: Sequence[SitePageRef], read_at: datetime
) -> None:
    """Cache places and software, and the pages that show them. Raises LookupError without an own domain."""
    domain = await _lock_domain(conn, company_id)
    await conn.execute(
        """
        UPDATE known_companies k
        SET name = c.name, website = c.website, discovery_source = c.discovery_source, evidence = c.evidence,
            facts = k.facts || %(facts)s, pages = %(pages)s, read_at = %(read_at)s, site_company_id = c.company_id
        FROM company_candidates c
        WHERE c.company_id = %(company_id)s AND k.domain = %(domain)s
          AND (k.read_at IS NULL OR k.read_at < %(read_at)s)
        """,
        {
            "company_id": company_id,
            "domain": domain,
            "facts": Jsonb(facts.model_dump(mode="json", include=set(_SITE_FACTS))),
            "pages": as_json(pages),
            "read_at": read_at,
        },
    )


async def cache_research(
    conn: Connection,
    company_id: UUID,
    facts: CompanyFacts,
    icp: IcpResult,
    *,
    version: int,
    researched_at: datetime,
    missing_fields: Sequence[str] = (),
) -> None:
    """Cache the facts that an agent proved, and the grade. Raises LookupError without an own domain.

    Args:
        version: ``RESEARCH_VERSION``.
    """
    domain = await _lock_domain(conn, company_id)
    await conn.execute(
        """
        UPDATE known_companies
        SET facts = facts || %(facts)s, icp = %(icp)s, research_version = %(version)s,
            missing_fields = %(missing_fields)s, researched_at = %(researched_at)s
        WHERE domain = %(domain)s AND (researched_at IS NULL OR researched_at < %(researched_at)s)
        """,
        {
            "domain": domain,
            "facts": Jsonb(facts.model_dump(mode="json", exclude=set(_SITE_FACTS))),
            "icp": as_json(icp),
            "version": version,
            "missing_fields": list(missing_fields),
            "researched_at": researched_at,
        },
    )


async def cache_people(
    conn: Connection, company_id: UUID, people: Sequence[Person], *, version: int, found_at: datetime
) -> None:
    """Cache people whom an agent found. Raises LookupError without an own domain.

    Args:
        version: ``CONTACTS_VERSION``.
    """
    domain = await _lock_domain(conn, company_id)  # otherwise two runs could deadlock on the same people
    distinct = {person_key(person.full_name): person for person in people}
    await conn.cursor().executemany(
        """
        INSERT INTO known_contacts AS k (domain, person_key, person, version, found_at)
        VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (domain, person_key) DO UPDATE
        SET person = excluded.person, version = excluded.version, found_at = excluded.found_at
        WHERE k.found_at < excluded.found_at
        """,
        [(domain, key, as_json(person), version, found_at) for key, person in distinct.items()],
    )


async def update_cached_software(conn: Connection, company_id: UUID, facts: CompanyFacts) -> None:
    """Update the cached software, unless the site was last read for another company."""
    await conn.execute(
        """
        UPDATE known_companies k SET facts = k.facts || %s
        FROM company_candidates c
        WHERE c.company_id = %s AND k.domain = c.domain AND k.site_company_id = c.company_id
        """,
        (Jsonb(facts.model_dump(mode="json", include=set(_SOFTWARE))), company_id),
    )


async def find_fresh_research(
    conn: Connection, website: str | None, *, version: int, days: int
) -> CachedResearch | None:
    """Return research of this version from the last ``days`` days.

    Returns None if any evidence is no longer stored, or is on another host of the company's domain.
    """
    cached = await fetch_model(
        conn,
        CachedResearch,
        f"""
        SELECT facts, researched_at, missing_fields FROM known_companies
        WHERE domain = %(domain)s AND research_version = %(version)s
          AND researched_at > now() - make_interval(days => %(days)s)
          AND {_evidence_is_stored("facts - %(of_site)s::text[]")}
        """,  # noqa: S608
        {"domain": _domain_of(website), "version": version, "days": days, "of_site": sorted(_SITE_FACTS)},
    )
    return cached if cached and _is_of_site(cached.facts.model_dump(exclude=set(_SITE_FACTS)), website) else None


async def find_fresh_people(conn: Connection, website: str | None, *, version: int, days: int) -> list[CachedPerson]:
    """Return cached people who meet the conditions of ``find_fresh_research``."""
    people = await fetch_models(
        conn,
        CachedPerson,
        f"""
        SELECT person, found_at FROM known_contacts
        WHERE domain = %(domain)s AND version = %(version)s AND found_at > now() - make_interval(days => %(days)s)
          AND {_evidence_is_stored("person")}
        ORDER BY person_key
        """,  # noqa: S608
        {"domain": _domain_of(website), "version": version, "days": days},
    )
    return [cached for cached in people if _is_of_site(cached.person.model_dump(), website)]


def _domain_of(website: str | None) -> str | None:
    return registrable_domain(website) if website else None


def _is_of_site(document: Any, website: str | None) -> bool:
    # Another host of the same domain may belong to another company, such as a branch or a tenant.
    domain, host = _domain_of(website), _site_host(website or "")
    return all(_site_host(url) == host for url in _cited_urls(document) if registrable_domain(url) == domain)


def _site_host(url: str) -> str:
    return (normalized_host(url) or "").removeprefix("www.")


def _cited_urls(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        if "result_id" in document:
            yield document["url"]
        for value in document.values():
            yield from _cited_urls(value)
    elif isinstance(document, list | tuple):
        for value in document:
            yield from _cited_urls(value)


def _evidence_is_stored(document: str) -> str:
    return f"""NOT EXISTS (
            SELECT 1 FROM jsonb_path_query({document}, '$.**.result_id') AS cited (result_id)
            WHERE NOT EXISTS (SELECT 1 FROM tool_results t WHERE t.result_id = cited.result_id #>> '{{}}')
        )"""  # noqa: S608


async def _lock_domain(conn: Connection, company_id: UUID) -> str:
    """Create or lock the cache row of the company's domain. Adds aliases and source, and returns the domain."""
    domain: str | None = await fetch_value(
        conn,
        """
        INSERT INTO known_companies AS k (domain, name, website, aliases, discovery_source, evidence, sources)
        SELECT domain, name, website, aliases, discovery_source, evidence, ARRAY[discovery_source]
        FROM company_candidates WHERE company_id = %s AND domain IS NOT NULL AND website IS NOT NULL
        ON CONFLICT (domain) DO UPDATE
        SET aliases = (SELECT coalesce(array_agg(DISTINCT a ORDER BY a), '{}') FROM unnest(k.aliases || excluded.aliases) AS a),
            sources = (SELECT array_agg(DISTINCT s ORDER BY s) FROM unnest(k.sources || excluded.sources) AS s)
        RETURNING domain
        """,
        (company_id,),
    )
    if domain is None:
        raise LookupError(f"company {company_id} has no domain of its own yet: it has to be qualified first")
    return domain
