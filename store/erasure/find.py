"""Find everything that identifies a person or company who asked to be forgotten. Read-only."""

import json
import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.company.excluded_sites import is_company_domain
from domain.company.hosts import normalized_host, registrable_domain
from domain.company.identity import normalized_company_name
from domain.erasure import MARK, HashKind, Traces, common_names, digest
from store.database import Connection


class TouchedRun(BaseModel):
    """A run whose files may name the subject."""

    model_config = ConfigDict(frozen=True)

    run_id: UUID
    is_open: bool


class Target(BaseModel):
    """What to erase.

    Attributes:
        subject: normalized email address, domain or portal host.
        company_ids: the company's rows in all runs. Empty for a person, whose company stays.
        accounts: ``vendor:slug``.
        person_keys: domain and person key.
        cited: tool results and page hashes that are evidence about the subject.
    """

    model_config = ConfigDict(frozen=True)

    subject: str
    traces: Traces
    runs: tuple[TouchedRun, ...]
    company_ids: frozenset[UUID] = frozenset()
    accounts: frozenset[str] = frozenset()
    person_keys: frozenset[tuple[str, str]] = frozenset()
    cited: frozenset[str]

    def digests(self) -> set[tuple[HashKind, str]]:
        kind: HashKind = "email" if "@" in self.subject else "domain"
        return {
            (kind, digest(kind, self.subject)),
            *(("domain", digest("domain", name)) for name in self.traces.domains),
            *(("person", digest("person", *key)) for key in self.person_keys),
        }


def hosts_pattern(domains: Iterable[str]) -> str:
    """Return a Postgres regex that matches hosts and URLs within the domains."""
    names = "|".join(re.escape(name) for name in sorted(domains))
    return rf"^(https?://)?([^/?#]*@)?([^/?#@]+\.)?({names})\.?(:\d+)?([/?#]|$)"


async def find_target(conn: Connection, subject: str) -> Target:
    return await (_find_person if "@" in subject else _find_company)(conn, subject)


async def _find_company(conn: Connection, subject: str) -> Target:
    domains, accounts, before = {subject}, set[str](), 0
    while len(domains) + len(accounts) > before:  # an alias or account of one row may lead to another row
        before = len(domains) + len(accounts)
        keys = [f"domain:{name}" for name in domains] + [f"portal:{account}" for account in accounts]
        values = {"domains": list(domains), "hosts": hosts_pattern(domains), "keys": keys, "accounts": list(accounts)}
        rows, seeds = await _rows(conn, _COMPANIES, values), await _rows(conn, _SEEDS, values)
        for row in rows:
            own = {name for name in [row["domain"], *row["aliases"]] if name and is_company_domain(name)}
            domains |= {name for name in own if registrable_domain(name) == name or name == row["domain"]}
            accounts |= set(row["portals"])
        accounts |= {seed["account"] for seed in seeds}
    cached = await _rows(conn, _CACHED, values)
    hosts = {normalized_host(row["url"]) for row in [*rows, *seeds] if row["url"]} - {None}
    slugs = {account.rpartition(":")[2] for account in accounts}
    domains |= {
        host for host in hosts if host and host.partition(".")[0] in slugs
    }  # portal hosts named after an account
    names = {row["name"] for row in [*rows, *cached, *seeds]} - {None, MARK}
    ids = {row["company_id"] for row in rows} | await _same_name(conn, names, {row["state"] for row in [*rows, *seeds]})
    people = await _rows(conn, _PEOPLE, {"ids": list(ids), "domains": list(domains)})
    traces = _traces([row["person"] for row in people], phones=[row["phone"] for row in [*rows, *seeds]]).model_copy(
        update={"domains": tuple(domains), "work_domains": tuple(domains), "company_names": tuple(names)}
    )
    return Target(
        subject=subject,
        traces=await _with_common_names(conn, traces, ids),
        runs=await _runs(conn, ids),
        company_ids=frozenset(ids),
        accounts=frozenset(accounts),
        cited=await _cited(conn, [*rows, *cached, *people]),
    )


async def _find_person(conn: Connection, subject: str) -> Target:
    rows = await _rows(conn, _PERSON, {"email": subject})
    keys = {(row["domain"], row["person_key"]) for row in rows if row["domain"]}
    traces = _traces([row["person"] for row in rows], emails=[subject])
    traces = traces.model_copy(update={"work_domains": tuple({domain for domain, _ in keys})})
    return Target(
        subject=subject,
        traces=await _with_common_names(conn, traces, set()),
        runs=await _runs(conn, {row["company_id"] for row in rows}),
        person_keys=frozenset(keys),
        cited=await _cited(conn, rows),
    )


def _traces(people: list[dict[str, Any]], *, emails: Iterable[str] = (), phones: Iterable[str | None] = ()) -> Traces:
    def values(field: str, more: Iterable[str | None] = ()) -> tuple[str, ...]:
        return tuple({value for value in [*(person.get(field) for person in people), *more] if value})

    addresses = tuple({address.lower() for address in values("email", emails)})
    profiles, numbers = values("linkedin_url"), values("phone", phones)
    return Traces(emails=addresses, profiles=profiles, phones=numbers, names=values("full_name"))


async def _with_common_names(conn: Connection, traces: Traces, company_ids: set[UUID]) -> Traces:
    others = await _rows(conn, _OTHERS, {"ids": list(company_ids), "domains": list(traces.work_domains)})
    companies, people = ([row["name"] for row in others if row["is_company"] is kind] for kind in (True, False))
    common = common_names(traces.company_names, companies, of_companies=True)
    common += common_names(traces.names, people, of_companies=False)
    return traces.model_copy(update={"common_names": common})


async def _same_name(conn: Connection, names: set[str], states: set[str | None]) -> set[UUID]:
    """Return candidates without a known site whose name matches and whose state does not contradict."""
    same = {normalized_company_name(name) for name in names}
    return {
        row["company_id"]
        for row in await _rows(conn, "SELECT company_id, name, state FROM company_candidates WHERE domain IS NULL", {})
        if normalized_company_name(row["name"]) in same and (row["state"] in {*states, None} or states <= {None})
    }


async def _runs(conn: Connection, company_ids: set[UUID]) -> tuple[TouchedRun, ...]:
    rows = await _rows(
        conn,
        """
        SELECT run_id, status NOT IN ('completed', 'cancelled', 'error') AS is_open FROM runs
        WHERE run_id IN (SELECT run_id FROM company_candidates WHERE company_id = ANY(%(ids)s)) ORDER BY run_id
        """,
        {"ids": list(company_ids)},
    )
    return tuple(TouchedRun.model_validate(row) for row in rows)


async def _cited(conn: Connection, documents: list[dict[str, Any]]) -> frozenset[str]:
    results = set(re.findall(r'"result_id": "([^"]+)"', json.dumps(documents, default=str)))
    query = "SELECT page_hash FROM tool_results WHERE result_id = ANY(%(ids)s) AND page_hash IS NOT NULL"
    return frozenset(results | {row["page_hash"] for row in await _rows(conn, query, {"ids": list(results)})})


async def _rows(conn: Connection, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    return await (await conn.execute(query.encode(), values)).fetchall()


_COMPANIES = """
    SELECT c.*, r.facts, ARRAY(SELECT value FROM company_identities i
                               WHERE i.company_id = c.company_id AND i.kind = 'portal') AS portals
    FROM company_candidates c LEFT JOIN company_research r USING (company_id)
    WHERE c.domain = ANY(%(domains)s) OR c.aliases && %(domains)s OR c.candidate_key = ANY(%(keys)s) OR c.url ~* %(hosts)s
       OR EXISTS (SELECT 1 FROM company_identities i
                  WHERE i.company_id = c.company_id AND i.kind || ':' || i.value = ANY(%(keys)s))
"""
_SEEDS = """
    SELECT vendor || ':' || slug AS account, company_name AS name, portal_url AS url, state, phone FROM pms_subdomains
    WHERE vendor || ':' || slug = ANY(%(accounts)s) OR website ~* %(hosts)s OR portal_url ~* %(hosts)s
"""
_CACHED = "SELECT name, evidence, facts FROM known_companies WHERE domain = ANY(%(domains)s) OR aliases && %(domains)s"
_PEOPLE = """
    SELECT person FROM contact_candidates WHERE company_id = ANY(%(ids)s)
    UNION ALL SELECT person FROM known_contacts WHERE domain = ANY(%(domains)s)
"""
_PERSON = """
    WITH people AS (
        SELECT c.domain, p.person_key, p.person, p.company_id
        FROM contact_candidates p JOIN company_candidates c USING (company_id)
        UNION ALL SELECT domain, person_key, person, NULL FROM known_contacts
    )
    SELECT * FROM people
    WHERE lower(person->>'email') = %(email)s
       OR (domain, person_key) IN (SELECT domain, person_key FROM people WHERE lower(person->>'email') = %(email)s)
"""
_OTHERS = """
    WITH others AS (
        SELECT company_id, name FROM company_candidates
        WHERE NOT company_id = ANY(%(ids)s) AND (domain IS NULL OR NOT domain = ANY(%(domains)s))
    )
    SELECT name, true AS is_company FROM others
    UNION SELECT name, true FROM known_companies WHERE NOT (domain = ANY(%(domains)s) OR aliases && %(domains)s)
    UNION SELECT p.full_name, false FROM contact_candidates p JOIN others USING (company_id)
    UNION SELECT person->>'full_name', false FROM known_contacts WHERE NOT domain = ANY(%(domains)s)
"""
