"""Erasing a person or company from every table, and keeping them out. Who is meant is found in ``store/forget_find.py``.

Rows that are about them are deleted by key (``_deletions``), except where a count rests on a row: a company of a run and a model
turn stay as empty shells. Whatever else holds a trace is found by walking the catalogue (``store/forget_sweep.py``), so that a
table that comes later is covered too.
"""

from typing import Any
from uuid import UUID

from domain.forgetting import MARK, Redactor
from domain.suppression import Suppression
from store import forgotten, suppressions
from store.database import Connection
from store.forget_find import Found
from store.forget_sweep import sweep

SOURCE = "forget"


async def suppress(conn: Connection, found: Found) -> None:
    """Keep them from being stored or delivered from now on; to be committed before ``erase``. Safe to run twice."""
    await forgotten.add(conn, found.digests)
    entries = [Suppression(domain=name, reason="do_not_contact", source=SOURCE) for name in found.traces.domains]
    await suppressions.upsert(conn, entries)


async def erase(conn: Connection, found: Found) -> dict[str, int]:
    """Erase them, and return by table how many rows were deleted or changed. Safe to run twice. Needs an open transaction."""
    counts: dict[str, int] = {}
    for table, statement, values in _deletions(found):
        cursor = await conn.execute(statement.encode(), values)
        counts[table] = counts.get(table, 0) + cursor.rowcount
    for table, rows in (await sweep(conn, Redactor(found.traces), found.traces, found.cited)).items():
        counts[table] = counts.get(table, 0) + rows
    return {table: rows for table, rows in sorted(counts.items()) if rows}


async def empty_company(conn: Connection, company_id: UUID) -> None:
    """Take all out of a run's company but that there was one, and that it may not be delivered."""
    await conn.execute(_EMPTY_COMPANY.encode(), {"ids": [company_id], "mark": MARK})


def _deletions(found: Found) -> list[tuple[str, str, dict[str, Any]]]:
    """What is deleted or emptied by key, as (table, statement, values), in an order that foreign keys allow."""
    if found.subject.kind == "email":
        keys = {"domains": [d for d, _ in found.person_keys], "people": [k for _, k in found.person_keys]}
        return [
            ("contact_candidates", _OF_PERSON, {**keys, "email": found.subject.value}),
            ("known_contacts", _KNOWN_PERSON, keys),
            (
                "runs",
                "UPDATE runs SET notify_email = NULL WHERE lower(notify_email) = %(email)s",
                {"email": found.subject.value},
            ),
        ]
    ids = {"ids": list(found.company_ids)}
    names = {"names": list(found.traces.domains)}
    return [
        ("contact_candidates", "DELETE FROM contact_candidates WHERE company_id = ANY(%(ids)s)", ids),
        ("company_research", "DELETE FROM company_research WHERE company_id = ANY(%(ids)s)", ids),
        ("company_identities", "DELETE FROM company_identities WHERE company_id = ANY(%(ids)s)", ids),
        ("audit_events", _FORGOTTEN_EVENT, ids),
        ("company_candidates", _EMPTY_COMPANY, ids | {"mark": MARK}),
        ("runs", _UNSELECT, ids),
        ("agent_turns", _EMPTY_TURNS, {"subjects": [f"company {company_id} %" for company_id in found.company_ids]}),
        ("known_contacts", "DELETE FROM known_contacts WHERE domain = ANY(%(names)s)", names),
        (
            "known_companies",
            "DELETE FROM known_companies WHERE domain = ANY(%(names)s) OR aliases && %(names)s",
            names,
        ),
        ("host_pace", "DELETE FROM host_pace WHERE domain = ANY(%(names)s)", names),
        (
            "pms_subdomains",
            "DELETE FROM pms_subdomains WHERE (vendor, slug) IN (SELECT * FROM unnest(%(v)s::text[], %(s)s::text[]))",
            {"v": [vendor for vendor, _ in found.accounts], "s": [slug for _, slug in found.accounts]},
        ),
    ]


_OF_PERSON = """
    DELETE FROM contact_candidates p USING company_candidates c
    WHERE c.company_id = p.company_id
      AND ((c.domain, p.person_key) IN (SELECT * FROM unnest(%(domains)s::text[], %(people)s::text[]))
           OR lower(p.person->>'email') = %(email)s)
"""
_KNOWN_PERSON = """
    DELETE FROM known_contacts
    WHERE (domain, person_key) IN (SELECT * FROM unnest(%(domains)s::text[], %(people)s::text[]))
"""
# That it was complete has to be known: its run counts it until its last gate (activities/companies.py, recheck_suppression).
_FORGOTTEN_EVENT = """
    INSERT INTO audit_events (event_key, run_id, company_id, event, actor, detail)
    SELECT run_id || '/company_forgotten/' || company_id, run_id, company_id, 'company_forgotten', 'command line',
           jsonb_build_object('was', status)
    FROM company_candidates WHERE company_id = ANY(%(ids)s)
    ON CONFLICT (event_key) DO NOTHING
"""
_EMPTY_COMPANY = """
    UPDATE company_candidates
    SET name = %(mark)s, candidate_key = 'forgotten:' || company_id, url = NULL, city = NULL, state = NULL, phone = NULL,
        discovery_source = '', evidence = '{"result_id": "", "url": "", "quote": ""}', domain = NULL, website = NULL,
        aliases = '{}', status = 'suppressed', reason = 'suppressed', reason_detail = 'forgotten', duplicate_of = NULL,
        updated_at = now()
    WHERE company_id = ANY(%(ids)s) AND name <> %(mark)s
"""
_UNSELECT = """
    UPDATE runs SET selected = ARRAY(SELECT id FROM unnest(selected) WITH ORDINALITY AS s (id, place)
                                     WHERE NOT id = ANY(%(ids)s) ORDER BY place)
    WHERE selected && %(ids)s
"""
# The row stays for what it has cost. Under another subject it is no conversation any more that a retry would go on with, and
# an answer that comes late for a lost call is not stored.
_EMPTY_TURNS = """
    UPDATE agent_turns
    SET subject = 'forgotten ' || gen_random_uuid(), task = NULL, output = NULL,
        status = CASE WHEN status = 'reserved' THEN 'lost' ELSE status END
    WHERE subject LIKE ANY(%(subjects)s)
"""
