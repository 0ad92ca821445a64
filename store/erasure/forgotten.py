"""People and companies who asked to be forgotten, stored as hashes. Table ``forgotten``.

An activity checks this table in the transaction that stores a person or company. ``lock`` waits for such transactions, so
nothing about a subject is stored after ``add``.
"""

from collections.abc import Collection, Iterable, Sequence

from domain.company.hosts import normalized_host, registrable_domain
from domain.contact.person import Person, person_key
from domain.erasure import HashKind, Redactor, Traces, addresses_in, digest
from store.database import Connection
from store.tools.tool_results import ToolResult

_LOCK = "hashtextextended('pm_pipeline forgotten', 0)"


async def lock(conn: Connection) -> None:
    """Wait for transactions that are storing people or companies, and block new ones until this one ends."""
    await conn.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")


async def add(conn: Connection, digests: Iterable[tuple[HashKind, str]]) -> None:
    await lock(conn)
    await conn.cursor().executemany(
        "INSERT INTO forgotten (kind, digest) VALUES (%s, %s) ON CONFLICT DO NOTHING", sorted(digests)
    )


async def forgotten_domains(conn: Connection, domains: Collection[str]) -> set[str]:
    """Return the domains and portal hosts of forgotten companies."""
    by_digest = {digest("domain", domain): domain for domain in domains}
    return {by_digest[value] for value in await _known(conn, by_digest)}


async def is_site_forgotten(conn: Connection, url: str) -> bool:
    return bool(
        await forgotten_domains(conn, {name for name in (registrable_domain(url), normalized_host(url)) if name})
    )


async def without_forgotten_people(
    conn: Connection, domains: Collection[str], people: Sequence[Person]
) -> list[Person]:
    """Return the people of a company who may be stored. Empty if the company itself is forgotten.

    Args:
        domains: the company's own domains. A forgotten person is recognized by domain and name, or by email address.
    """
    if await forgotten_domains(conn, domains):
        return []
    digests = [_digests(person, domains) for person in people]
    found = await _known(conn, set().union(*digests))
    return [person for person, own in zip(people, digests, strict=True) if not own & found]


async def without_forgotten_addresses(
    conn: Connection, result: ToolResult, body: str | None
) -> tuple[ToolResult, str | None]:
    """Redact forgotten people's email addresses in a tool result and its page body."""
    by_digest = {digest("email", address): address for address in addresses_in([result.model_dump(), body])}
    found = await _known(conn, by_digest) if by_digest else set()
    redactor = Redactor(Traces(emails=tuple(sorted(by_digest[value] for value in found))))
    changes = redactor.redact({"text": result.text, "payload": result.payload, "args": result.args})
    return result.model_copy(update=changes), redactor.redact(body)


def _digests(person: Person, domains: Collection[str]) -> set[str]:
    named = {digest("person", domain, person_key(person.full_name)) for domain in domains}
    return named | ({digest("email", person.email)} if person.email else set())


async def _known(conn: Connection, digests: Collection[str]) -> set[str]:
    await conn.execute(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")
    cursor = await conn.execute("SELECT digest FROM forgotten WHERE digest = ANY(%s)", (list(digests),))
    return {row["digest"] for row in await cursor.fetchall()}
