"""Whom a person means by an address or a domain: every row that is theirs, and all by which they are recognised.

Reads only. What is done with it is ``store/erasure/erase.py``; how a text is searched for it, ``domain/forgetting.py``.
"""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.company.excluded_sites import is_company_domain
from domain.company.hosts import normalized_host, registrable_domain
from domain.company.identity import normalized_company_name
from domain.forgetting import MARK, HashKind, Traces, digest, is_within, split_names
from store.database import Connection


class Subject(BaseModel):
    """Whom to forget: a person by an e-mail address, or a company by its own domain (or its portal's host); in normal form."""

    model_config = ConfigDict(frozen=True)

    kind: HashKind
    value: str


class TouchedRun(BaseModel):
    """A run in whose files they were, or may be."""

    model_config = ConfigDict(frozen=True)

    run_id: UUID
    is_open: bool


class Found(BaseModel):
    """All that is stored under a subject.

    Attributes:
        company_ids: companies of runs; of a person, the companies they work for, which stay.
        accounts: at software vendors, as (vendor, slug).
        person_keys: (domain, key) of a person.
        cited: results that prove something of them, and the hashes of their pages.
        digests: what is to be remembered, with its kind.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    subject: Subject
    traces: Traces
    company_ids: tuple[UUID, ...] = ()
    accounts: tuple[tuple[str, str], ...] = ()
    person_keys: tuple[tuple[str, str], ...] = ()
    runs: tuple[TouchedRun, ...] = ()
    cited: frozenset[str] = frozenset()

    @property
    def digests(self) -> list[tuple[HashKind, str]]:
        """What is to be remembered of them."""
        subject: list[tuple[HashKind, str]] = [(self.subject.kind, digest(self.subject.kind, self.subject.value))]
        domains: list[tuple[HashKind, str]] = [("domain", digest("domain", name)) for name in self.traces.domains]
        return [*subject, *domains, *(("person", digest("person", *key)) for key in self.person_keys)]


async def find(conn: Connection, subject: Subject) -> Found:
    """Look up who is meant and by what they are recognised. Changes nothing."""
    found = await (_find_person(conn, subject) if subject.kind == "email" else _find_company(conn, subject))
    bodies = await _rows(
        conn,
        "SELECT page_hash FROM tool_results WHERE result_id = ANY(%(cited)s) AND page_hash IS NOT NULL",
        cited=list(found.cited),
    )
    return found.model_copy(update={"cited": found.cited | {row["page_hash"] for row in bodies}})


async def _find_company(conn: Connection, subject: Subject) -> Found:
    domains, accounts, ids = {subject.value}, set[tuple[str, str]](), set[UUID]()
    rows: list[dict[str, Any]] = []
    while True:  # an alias or a portal account of one row leads to another
        rows = await _rows(
            conn,
            """
            SELECT c.company_id, c.run_id, c.name, c.url, c.domain, c.state, c.aliases, c.phone, c.candidate_key, c.evidence,
                   r.facts, ARRAY(SELECT value FROM company_identities i
                                  WHERE i.company_id = c.company_id AND i.kind = 'portal') AS portals
            FROM company_candidates c LEFT JOIN company_research r USING (company_id)
            WHERE c.domain = ANY(%(domains)s) OR c.aliases && %(domains)s OR c.candidate_key = ANY(%(keys)s)
               OR EXISTS (SELECT 1 FROM company_identities i WHERE i.company_id = c.company_id
                          AND (i.kind, i.value) IN (SELECT 'portal', unnest(%(portals)s::text[])
                                                    UNION ALL SELECT 'domain', unnest(%(domains)s::text[])))
               OR (c.url IS NOT NULL AND EXISTS (SELECT 1 FROM unnest(%(domains)s::text[]) AS d WHERE strpos(c.url, d) > 0))
            """,
            domains=sorted(domains),
            keys=[*(f"domain:{name}" for name in domains), *(f"portal:{vendor}:{slug}" for vendor, slug in accounts)],
            portals=[f"{vendor}:{slug}" for vendor, slug in accounts],
        )
        rows = [row for row in rows if row["domain"] in domains or not row["url"] or _is_theirs(row, domains, accounts)]
        before = (len(domains), len(accounts), len(ids))
        ids |= {row["company_id"] for row in rows}
        for row in rows:
            own = {row["domain"], *row["aliases"]} - {None}
            # Rows of earlier versions bear hosts of many as aliases (bit.ly): followed, they would lead to strangers.
            own = {name for name in own if is_company_domain(name)}
            domains |= {name for name in own if registrable_domain(name) == name or name == row["domain"]}
            for portal in row["portals"]:
                vendor, _, slug = portal.rpartition(":")
                accounts.add((vendor, slug))
        if before == (len(domains), len(accounts), len(ids)):
            break
    seeds = await _rows(conn, "SELECT * FROM pms_subdomains WHERE website IS NOT NULL OR portal_url IS NOT NULL")
    seeds = [
        seed
        for seed in seeds
        if (seed["vendor"], seed["slug"]) in accounts
        or is_within(seed["website"] or "", domains)
        or is_within(seed["portal_url"] or "", domains)
    ]
    accounts |= {(seed["vendor"], seed["slug"]) for seed in seeds}
    known = await _rows(
        conn,
        "SELECT name, evidence, facts FROM known_companies WHERE domain = ANY(%(d)s) OR aliases && %(d)s",
        d=sorted(domains),
    )
    addresses = [*(row["url"] for row in rows), *(seed["portal_url"] for seed in seeds)]
    domains |= _portal_hosts(addresses, {slug for _, slug in accounts})
    firms = {row["name"] for row in [*rows, *known]} | {seed["company_name"] for seed in seeds}
    firms -= {None, MARK}
    nameless = await _rows(
        conn,
        "SELECT company_id, run_id, name, state FROM company_candidates WHERE domain IS NULL AND name <> %(mark)s",
        mark=MARK,
    )
    states = {row["state"] for row in [*rows, *seeds]}
    same = {normalized_company_name(name) for name in firms}
    for row in nameless:  # named and not looked at yet: the same firm, as far as anything says
        is_same_place = row["state"] in states or row["state"] is None or states <= {None}
        if normalized_company_name(row["name"]) in same and is_same_place:
            ids.add(row["company_id"])
    people = await _rows(
        conn,
        """
        SELECT person FROM contact_candidates WHERE company_id = ANY(%(ids)s)
        UNION ALL SELECT person FROM known_contacts WHERE domain = ANY(%(domains)s)
        """,
        ids=list(ids),
        domains=sorted(domains),
    )
    persons = [row["person"] for row in people]
    traces = await _with_common_names(
        conn,
        ids,
        domains,
        Traces(
            domains=tuple(sorted(domains)),
            emails=_values(persons, "email"),
            profiles=_values(persons, "linkedin_url"),
            phones=tuple(
                sorted({*_values(persons, "phone"), *(row["phone"] for row in [*rows, *seeds] if row["phone"])})
            ),
            names=_values(persons, "full_name"),
            company_names=tuple(sorted(firms)),
            of_domains=tuple(sorted(domains)),
        ),
    )
    return Found(
        subject=subject,
        traces=traces,
        company_ids=tuple(sorted(ids)),
        accounts=tuple(sorted(accounts)),
        runs=await _runs_of(conn, ids),
        cited=_cited([row["evidence"] for row in [*rows, *known]], [row["facts"] for row in [*rows, *known]], persons),
    )


def _is_theirs(row: dict[str, Any], domains: Collection[str], accounts: Collection[tuple[str, str]]) -> bool:
    keys = {f"{vendor}:{slug}" for vendor, slug in accounts}
    if set(row["aliases"]) & set(domains) or set(row["portals"]) & keys:
        return True
    return row["candidate_key"].removeprefix("portal:") in keys or is_within(row["url"], domains)


def _portal_hosts(addresses: Iterable[str | None], slugs: Collection[str]) -> set[str]:
    """Of portal addresses, the hosts that bear the account's name: those that a vendor's customers share stay."""
    hosts = {normalized_host(address) for address in addresses if address}
    return {host for host in hosts if host and host.partition(".")[0] in slugs}


async def _find_person(conn: Connection, subject: Subject) -> Found:
    rows = await _rows(
        conn,
        """
        WITH theirs AS (
            SELECT c.domain, p.person_key FROM contact_candidates p JOIN company_candidates c USING (company_id)
            WHERE lower(p.email) = %(email)s OR lower(p.person->>'email') = %(email)s
            UNION SELECT domain, person_key FROM known_contacts WHERE lower(person->>'email') = %(email)s
        )
        SELECT p.person, p.person_key, p.company_id, c.domain
        FROM contact_candidates p JOIN company_candidates c USING (company_id)
        WHERE (c.domain, p.person_key) IN (SELECT domain, person_key FROM theirs)
           OR lower(p.email) = %(email)s OR lower(p.person->>'email') = %(email)s
        UNION ALL
        SELECT k.person, k.person_key, NULL, k.domain FROM known_contacts k JOIN theirs USING (domain, person_key)
        """,
        email=subject.value,
    )
    persons = [row["person"] for row in rows]
    ids = {row["company_id"] for row in rows} - {None}
    keys = {(row["domain"], row["person_key"]) for row in rows if row["domain"]}
    traces = Traces(
        emails=tuple(sorted({subject.value, *(email.lower() for email in _values(persons, "email"))})),
        profiles=_values(persons, "linkedin_url"),
        phones=_values(persons, "phone"),
        names=_values(persons, "full_name"),
        of_domains=tuple(sorted({domain for domain, _ in keys})),
    )
    others = await _rows(
        conn,
        """
        SELECT p.full_name AS name FROM contact_candidates p JOIN company_candidates c USING (company_id)
        WHERE c.domain IS NULL OR NOT c.domain = ANY(%(domains)s)
        UNION SELECT person->>'full_name' FROM known_contacts WHERE NOT domain = ANY(%(domains)s)
        """,
        domains=list(traces.of_domains),
    )
    common = split_names(traces.names, [row["name"] for row in others], firms=False)
    return Found(
        subject=subject,
        traces=Traces(**{**vars(traces), "common_names": common}),
        company_ids=tuple(sorted(ids)),
        person_keys=tuple(sorted(keys)),
        runs=await _runs_of(conn, ids),
        cited=_cited(persons),
    )


async def _with_common_names(conn: Connection, ids: set[UUID], domains: set[str], traces: Traces) -> Traces:
    """The traces with those names marked that other companies, or their people, bear too."""
    others = await _rows(
        conn,
        """
        SELECT name, 'firm' AS kind FROM company_candidates WHERE NOT company_id = ANY(%(ids)s)
        UNION SELECT name, 'firm' FROM known_companies WHERE NOT (domain = ANY(%(domains)s) OR aliases && %(domains)s)
        UNION SELECT full_name, 'person' FROM contact_candidates WHERE NOT company_id = ANY(%(ids)s)
        UNION SELECT person->>'full_name', 'person' FROM known_contacts WHERE NOT domain = ANY(%(domains)s)
        """,
        ids=list(ids),
        domains=sorted(domains),
    )
    named = {kind: [row["name"] for row in others if row["kind"] == kind] for kind in ("firm", "person")}
    common = split_names(traces.company_names, named["firm"], firms=True)
    common += split_names(traces.names, named["person"], firms=False)
    return Traces(**{**vars(traces), "common_names": common})


async def _runs_of(conn: Connection, company_ids: set[UUID]) -> tuple[TouchedRun, ...]:
    rows = await _rows(
        conn,
        """
        SELECT run_id, status NOT IN ('completed', 'cancelled', 'error') AS is_open FROM runs
        WHERE run_id IN (SELECT run_id FROM company_candidates WHERE company_id = ANY(%(ids)s)) ORDER BY run_id
        """,
        ids=list(company_ids),
    )
    return tuple(TouchedRun.model_validate(row) for row in rows)


def _values(persons: Iterable[dict[str, Any]], field: str) -> tuple[str, ...]:
    return tuple(sorted({person[field] for person in persons if person.get(field)}))


def _cited(*documents: Any) -> frozenset[str]:
    """The stored results that documents name as their evidence."""
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("result_id"), str):
                found.add(value["result_id"])
            for inner in value.values():
                look(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                look(inner)

    look(documents)
    return frozenset(found)


async def _rows(conn: Connection, query: str, **values: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in await (await conn.execute(query.encode(), values)).fetchall()]
