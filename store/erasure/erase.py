"""Erasing a person or company from every table, and keeping them out. Who is meant is found in ``store/erasure/find.py``.

Rows that are about them are deleted by key, except where a count rests on a row: a company of a run and a model turn stay as
empty shells. Whatever else holds a trace is found by walking the catalogue (``store/erasure/sweep.py``), so that a table that comes
later is covered too. The walk reads the whole database while runs go on: it comes after the short transaction of the keys, and
what it looks for is kept in ``erasures`` until all is done, for the rows that told it are gone by then.
"""

from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from domain.company.suppression import Suppression
from domain.forgetting import MARK, Redactor
from store.companies import suppressions
from store.database import Connection
from store.erasure import forgotten
from store.erasure.find import Found
from store.erasure.sweep import TouchedRows, primary_keys, sweep, would_sweep
from store.runs import runs

SOURCE = "forget"


class Erasure(NamedTuple):
    """An erasure under way: begun, and perhaps interrupted."""

    erasure_id: UUID
    found: Found


async def suppress(conn: Connection, found: Found) -> None:
    """Keep them from being stored or delivered from now on; to be committed before ``begin``. Safe to run twice."""
    await forgotten.add(conn, found.digests)
    entries = [Suppression(domain=name, reason="do_not_contact", source=SOURCE) for name in found.traces.domains]
    await suppressions.upsert(conn, entries)


async def begin(conn: Connection, found: Found) -> TouchedRows:
    """Erase the rows that are theirs, and note that the rest is to be swept (``under_way``). Needs an open transaction, a short one:
    it locks rows of open runs."""
    await runs.lock_runs_of(conn, found.company_ids)
    await conn.execute("INSERT INTO erasures (found) VALUES (%s)", (Jsonb(found.model_dump(mode="json")),))
    keys, touched = await primary_keys(conn), TouchedRows()
    for theirs in _theirs(found):
        key = ", ".join(f"{theirs.table}.{name}" for name in keys[theirs.table])
        statement = f"{theirs.action} WHERE {theirs.whose} RETURNING {key}"
        if theirs.table == "audit_events":
            statement = f"{theirs.action} WHERE {theirs.whose} ON CONFLICT (event_key) DO NOTHING RETURNING {key}"
        touched.add(theirs.table, await (await conn.execute(statement.encode(), theirs.values)).fetchall())
    return touched


async def under_way(conn: Connection) -> list[Erasure]:
    """Erasures that have begun and not ended, those of earlier commands that were interrupted first."""
    cursor = await conn.execute("SELECT erasure_id, found FROM erasures ORDER BY begun_at, erasure_id")
    return [Erasure(row["erasure_id"], Found.model_validate(row["found"])) for row in await cursor.fetchall()]


async def sweep_rest(conn: Connection, found: Found) -> TouchedRows:
    """Take their traces out of all that is left, row by row. Safe to run twice. ``conn`` is in autocommit: nobody has to wait for
    more than one row."""
    return await sweep(conn, Redactor(found.traces), found.traces, found.cited)


async def end(conn: Connection, erasure_id: UUID) -> None:
    """Nothing is left of them: what was kept of it for the walk goes too."""
    await conn.execute("DELETE FROM erasures WHERE erasure_id = %s", (erasure_id,))


async def would_erase(conn: Connection, found: Found) -> TouchedRows:
    """The rows that ``begin`` and ``sweep_rest`` would delete or change. Only reads, and locks no row."""
    keys, touched = await primary_keys(conn), TouchedRows()
    for theirs in _theirs(found):
        key, table = ", ".join(f"{theirs.table}.{name}" for name in keys[theirs.table]), theirs.table
        statement = f"SELECT {key} FROM {table} WHERE {theirs.whose}"  # noqa: S608  # names of the catalogue and constants
        if theirs.table == "audit_events":
            statement = f"SELECT company_id FROM company_candidates WHERE {theirs.whose} AND NOT EXISTS ({_TOLD})"  # noqa: S608
        touched.add(theirs.table, await (await conn.execute(statement.encode(), theirs.values)).fetchall())
    await would_sweep(conn, Redactor(found.traces), found.traces, found.cited, touched)
    return touched


async def empty_company(conn: Connection, company_id: UUID) -> None:
    """Take all out of a run's company but that there was one, and that it may not be delivered."""
    await conn.execute(
        f"{_EMPTY_COMPANY} WHERE company_id = ANY(%(ids)s) AND {_NOT_EMPTY}".encode(),
        {"ids": [company_id], "mark": MARK},
    )


class _Theirs(NamedTuple):
    """Rows of a table that are theirs, and what is done with them."""

    table: str
    action: str
    whose: str
    values: dict[str, Any]


def _deleted(table: str, whose: str, values: dict[str, Any]) -> _Theirs:
    return _Theirs(table, f"DELETE FROM {table}", whose, values)  # noqa: S608  # constants of this module


def _theirs(found: Found) -> list[_Theirs]:
    """What is deleted or emptied by key. Rows of ``runs`` are locked before model turns, as ``agent_turns.reserve_turn`` does it.

    Whoever is meant, what a step under way has stored since below a company that is forgotten (nothing else tells whose it is) goes.
    """
    is_company = found.subject.kind == "domain"
    ids = {"ids": list(found.company_ids) if is_company else [], "mark": MARK}
    below = [
        _deleted("contact_candidates", f"company_id IN ({_COMPANIES})", ids),
        _deleted("company_research", f"company_id IN ({_COMPANIES})", ids),
        _deleted("company_identities", f"company_id IN ({_COMPANIES})", ids),
        _Theirs("agent_turns", _EMPTY_TURNS, _OF_COMPANY, ids),
    ]
    if not is_company:
        of_person = {
            "domains": [domain for domain, _ in found.person_keys],
            "people": [key for _, key in found.person_keys],
            "email": found.subject.value,
        }
        asked = _Theirs("runs", "UPDATE runs SET notify_email = NULL", "lower(notify_email) = %(email)s", of_person)
        return [
            asked,
            *below,
            _deleted("contact_candidates", _OF_PERSON, of_person),
            _deleted("known_contacts", _KNOWN_PERSON, of_person),
            _emptied(ids),
        ]
    names = {"names": list(found.traces.domains)}
    accounts = {"v": [vendor for vendor, _ in found.accounts], "s": [slug for _, slug in found.accounts]}
    return [
        _Theirs("audit_events", _TELL, "company_id = ANY(%(ids)s)", ids),
        _Theirs("runs", _UNSELECT, "selected && %(ids)s::uuid[]", ids),
        *below,
        _deleted("known_contacts", "domain = ANY(%(names)s)", names),
        _deleted("known_companies", "domain = ANY(%(names)s) OR aliases && %(names)s", names),
        _deleted("rate_limits", "name = ANY(%(names)s)", names),
        _deleted("pms_subdomains", "(vendor, slug) IN (SELECT * FROM unnest(%(v)s::text[], %(s)s::text[]))", accounts),
        _emptied(ids),
    ]


def _emptied(ids: dict[str, Any]) -> _Theirs:
    return _Theirs("company_candidates", _EMPTY_COMPANY, f"company_id IN ({_COMPANIES}) AND {_NOT_EMPTY}", ids)


# By the key that an emptied row has: under the mark as a name may be somebody else's, whose name was taken out by the walk.
_IS_THEIRS = "(c.company_id = ANY(%(ids)s::uuid[]) OR c.candidate_key = 'forgotten:' || c.company_id)"
_COMPANIES = f"SELECT c.company_id FROM company_candidates c WHERE {_IS_THEIRS}"  # noqa: S608
_OF_COMPANY = f"""EXISTS (SELECT 1 FROM company_candidates c WHERE {_IS_THEIRS} AND c.run_id = agent_turns.run_id
                  AND starts_with(agent_turns.subject, 'company ' || c.company_id || ' '))"""  # noqa: S608
_OF_PERSON = """
    EXISTS (SELECT 1 FROM company_candidates c WHERE c.company_id = contact_candidates.company_id
            AND (c.domain, contact_candidates.person_key) IN (SELECT * FROM unnest(%(domains)s::text[], %(people)s::text[])))
    OR lower(contact_candidates.person->>'email') = %(email)s
"""
_KNOWN_PERSON = "(domain, person_key) IN (SELECT * FROM unnest(%(domains)s::text[], %(people)s::text[]))"
# That it was complete has to be known: its run counts it until its last gate (activities/suppression.py, recheck_suppression).
_TELL = """
    INSERT INTO audit_events (event_key, run_id, company_id, event, actor, detail)
    SELECT run_id || '/company_forgotten/' || company_id, run_id, company_id, 'company_forgotten', 'command line',
           jsonb_build_object('was', status)
    FROM company_candidates
"""
_TOLD = """
    SELECT 1 FROM audit_events e
    WHERE e.event_key = company_candidates.run_id || '/company_forgotten/' || company_candidates.company_id
"""
_EMPTY_COMPANY = """
    UPDATE company_candidates
    SET name = %(mark)s, candidate_key = 'forgotten:' || company_id, url = NULL, city = NULL, state = NULL, phone = NULL,
        discovery_source = '', evidence = '{"result_id": "", "url": "", "quote": ""}', domain = NULL, website = NULL,
        aliases = '{}', status = 'suppressed', reason = 'suppressed', reason_detail = 'forgotten', duplicate_of = NULL,
        updated_at = now()
"""
_NOT_EMPTY = """
    (name, candidate_key, domain, status, reason_detail)
    IS DISTINCT FROM (%(mark)s, 'forgotten:' || company_id, NULL, 'suppressed', 'forgotten')
"""
_UNSELECT = """
    UPDATE runs SET selected = ARRAY(SELECT id FROM unnest(selected) WITH ORDINALITY AS s (id, place)
                                     WHERE NOT id = ANY(%(ids)s::uuid[]) ORDER BY place)
"""
# The row stays for what it has cost. Under another subject it is no conversation any more that a retry would go on with, and
# an answer that comes late for a lost call is not stored.
_EMPTY_TURNS = """
    UPDATE agent_turns
    SET subject = 'forgotten ' || gen_random_uuid(), task = NULL, output = NULL,
        status = CASE WHEN status = 'reserved' THEN 'lost' ELSE status END
"""
