"""Everything ever researched, whichever run it was for: companies by registrable domain, people by domain and name.

Tables ``known_companies`` and ``known_contacts``. What a run stores of a company is stored here in the same transaction,
whether it is delivered or not, so that nothing that was paid for is lost or bought again (LESSONS F83). An older result never
overwrites a newer one, so the order in which they arrive does not matter. How old a result may be to be reused is in
``settings.py``; the companies at hand of a search are read in ``sources.py``.

Facts have two ages: places and software are those of the last reading of the site by code, the rest is what an agent's
answer last proved.
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
from store.database import Connection

_SOFTWARE = ("pms_status", "pms", "pms_slug", "pms_evidence", "pms_reason")
_OF_SITE = frozenset({"places", "place_evidence", *_SOFTWARE})  # all other facts are an agent's
# A fact with its proof, where that is a field of its own.
_PROVEN_TOGETHER = (
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


def _says(facts: CompanyFacts, name: str) -> bool:
    return getattr(facts, name) not in (None, CompanyType.UNKNOWN, ())


def lacks_researched_facts(facts: CompanyFacts) -> bool:
    """Whether no fact is proven but what code has read on the site."""
    return not any(_says(facts, names[0]) for names in _PROVEN_TOGETHER)


class CachedResearch(BaseModel):
    """What an agent's answer proved of a company, and when.

    Attributes:
        missing_fields: fields of the answer that the request it was for wanted to know, and no page says.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    facts: CompanyFacts
    researched_at: datetime
    missing_fields: tuple[str, ...] = ()

    def with_site_facts(self, site: CompanyFacts) -> CompanyFacts:
        """These facts with the places and the software of a reading of the site."""
        return self.facts.model_copy(update={name: getattr(site, name) for name in _OF_SITE})

    def fill_gaps_of(self, newer: CompanyFacts) -> CompanyFacts:
        """Newer facts, with these where they say nothing: an answer that leaves out what was proven does not unsay it."""
        missing = [names for names in _PROVEN_TOGETHER if not _says(newer, names[0]) and _says(self.facts, names[0])]
        return newer.model_copy(update={name: getattr(self.facts, name) for names in missing for name in names})


class CachedPerson(BaseModel):
    """A person whom an agent's answer proved, and when."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    person: Person
    found_at: datetime


async def cache_site(
    conn: Connection, company_id: UUID, facts: CompanyFacts, pages: Sequence[SitePageRef], read_at: datetime
) -> None:
    """Keep places and software as read from the site of a run's company, with the pages they were read from.

    Raises:
        LookupError: the company has no domain of its own yet.
    """
    domain = await _keep_names(conn, company_id)
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
            "facts": Jsonb(facts.model_dump(mode="json", include=set(_OF_SITE))),
            "pages": Jsonb([page.model_dump(mode="json") for page in pages]),
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
    """Keep what an agent's answer proved of a run's company, and the grade that follows.

    Args:
        version: of the fields and rules it was researched under (``agents/roles/company_research.py``).
        missing_fields: see ``CachedResearch``.

    Raises:
        LookupError: the company has no domain of its own yet.
    """
    domain = await _keep_names(conn, company_id)
    await conn.execute(
        """
        UPDATE known_companies
        SET facts = facts || %(facts)s, icp = %(icp)s, research_version = %(version)s, missing_fields = %(missing_fields)s,
            researched_at = %(researched_at)s
        WHERE domain = %(domain)s AND (researched_at IS NULL OR researched_at < %(researched_at)s)
        """,
        {
            "domain": domain,
            "facts": Jsonb(facts.model_dump(mode="json", exclude=set(_OF_SITE))),
            "icp": Jsonb(icp.model_dump(mode="json")),
            "version": version,
            "missing_fields": list(missing_fields),
            "researched_at": researched_at,
        },
    )


async def cache_people(
    conn: Connection, company_id: UUID, people: Sequence[Person], *, version: int, found_at: datetime
) -> None:
    """Keep people whom an agent's answer proved for a run's company.

    Args:
        version: of the fields and rules they were found under (``agents/roles/contact_research.py``).

    Raises:
        LookupError: the company has no domain of its own yet.
    """
    domain = await _keep_names(conn, company_id)  # its row is locked, so that the order of theirs does not matter
    for key, person in {person_key(person.full_name): person for person in people}.items():
        await conn.execute(
            """
            INSERT INTO known_contacts AS k (domain, person_key, person, version, found_at)
            VALUES (%(domain)s, %(key)s, %(person)s, %(version)s, %(found_at)s)
            ON CONFLICT (domain, person_key) DO UPDATE
            SET person = excluded.person, version = excluded.version, found_at = excluded.found_at
            WHERE k.found_at < excluded.found_at
            """,
            {
                "domain": domain,
                "key": key,
                "person": Jsonb(person.model_dump(mode="json")),
                "version": version,
                "found_at": found_at,
            },
        )


async def update_cached_software(conn: Connection, company_id: UUID, facts: CompanyFacts) -> None:
    """Keep a new detection from the pages of a run's company, where theirs is the reading that stands."""
    await conn.execute(
        """
        UPDATE known_companies k SET facts = k.facts || %(software)s
        FROM company_candidates c
        WHERE c.company_id = %(company_id)s AND k.domain = c.domain AND k.site_company_id = c.company_id
        """,
        {"company_id": company_id, "software": Jsonb(facts.model_dump(mode="json", include=set(_SOFTWARE)))},
    )


async def find_fresh_research(
    conn: Connection, website: str | None, *, version: int, days: int
) -> CachedResearch | None:
    """What is known of a company by an agent's answer of the last ``days`` days and of this version.

    None where there is none, or where a tool result that one of its facts rests on is no longer stored: a hole in
    the facts would look like an unknown one. None also where a fact rests on another site of the same domain.
    """
    cursor = await conn.execute(
        f"""
        SELECT facts, researched_at, missing_fields FROM known_companies
        WHERE domain = %(domain)s AND research_version = %(version)s
          AND researched_at > now() - make_interval(days => %(days)s)
          AND {_stored("facts - %(of_site)s::text[]")}
        """,  # noqa: S608
        {"domain": _domain_of(website), "version": version, "days": days, "of_site": sorted(_OF_SITE)},
    )
    row = await cursor.fetchone()
    known = CachedResearch.model_validate(row) if row else None
    return known if known and _is_of_site(known.facts.model_dump(exclude=set(_OF_SITE)), website) else None


async def find_fresh_people(conn: Connection, website: str | None, *, version: int, days: int) -> list[CachedPerson]:
    """People of a company found in the last ``days`` days, under this version, whose proof is all still stored.

    Without those whom another site of the same domain names.
    """
    cursor = await conn.execute(
        f"""
        SELECT person, found_at FROM known_contacts
        WHERE domain = %(domain)s AND version = %(version)s AND found_at > now() - make_interval(days => %(days)s)
          AND {_stored("person")}
        ORDER BY person_key
        """,  # noqa: S608
        {"domain": _domain_of(website), "version": version, "days": days},
    )
    people = [CachedPerson.model_validate(row) for row in await cursor.fetchall()]
    return [known for known in people if _is_of_site(known.person.model_dump(), website)]


def _domain_of(website: str | None) -> str | None:
    return registrable_domain(website) if website else None


def _is_of_site(document: Any, website: str | None) -> bool:
    """Whether what is cited of a company's domain stands on this site: an office, or a tenant, at another host of it is another
    company in all but the domain."""
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


def _stored(document: str) -> str:
    """The condition that every tool result that a JSON document cites is stored. ``document`` is a constant of this module."""
    return f"""NOT EXISTS (
            SELECT 1 FROM jsonb_path_query({document}, '$.**.result_id') AS cited (result_id)
            WHERE NOT EXISTS (SELECT 1 FROM tool_results t WHERE t.result_id = cited.result_id #>> '{{}}')
        )"""  # noqa: S608


async def _keep_names(conn: Connection, company_id: UUID) -> str:
    """Make sure of a company's row with every name and source it has ever had, and lock it; returns its domain."""
    cursor = await conn.execute(
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
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(f"company {company_id} has no domain of its own yet: it has to be qualified first")
    domain: str = row["domain"]
    return domain
