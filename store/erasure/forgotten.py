"""Who has asked to be forgotten, as the steps that store people and companies ask for it. Table ``forgotten``: hashes alone.

How they are erased is ``store/erasure/erase.py``. Whoever stores what was asked for here does so in the same transaction: ``add`` waits
for such transactions to end, so that nothing is stored of somebody after they were added.
"""

from collections.abc import Collection, Iterable, Sequence

from domain.company.hosts import normalized_host, registrable_domain
from domain.contact.person import Person, person_key
from domain.forgetting import HashKind, Redactor, Traces, addresses_in, digest
from store.database import Connection
from store.tools.tool_results import ToolResult

_LOCK = "hashtextextended('pm_pipeline forgotten', 0)"


async def add(conn: Connection, entries: Iterable[tuple[HashKind, str]]) -> int:
    """Remember digests (``domain/forgetting.py``) with their kind; returns how many are new."""
    await conn.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
    new = 0
    for kind, value in sorted(set(entries)):
        cursor = await conn.execute(
            "INSERT INTO forgotten (digest, kind) VALUES (%s, %s) ON CONFLICT DO NOTHING", (value, kind)
        )
        new += cursor.rowcount
    return new


async def domains_among(conn: Connection, domains: Collection[str]) -> set[str]:
    """Of these domains and portal hosts, those of companies that are forgotten."""
    by_digest = {digest("domain", domain): domain for domain in domains}
    return {by_digest[value] for value in await _among(conn, by_digest)}


async def is_site_forgotten(conn: Connection, url: str) -> bool:
    """Whether an address is on a site of a company that is forgotten."""
    return bool(await domains_among(conn, {name for name in (registrable_domain(url), normalized_host(url)) if name}))


async def not_forgotten(conn: Connection, domains: Collection[str], people: Sequence[Person]) -> list[Person]:
    """Of a company's people, those who may be stored: nobody of a company that is forgotten.

    Args:
        domains: the company's own, by which its people are known beside their addresses.
    """
    if await domains_among(conn, domains):
        return []
    digests = {index: _digests(person, domains) for index, person in enumerate(people)}
    found = await _among(conn, {value for values in digests.values() for value in values})
    return [person for index, person in enumerate(people) if not digests[index] & found]


async def without_addresses(conn: Connection, result: ToolResult, body: str | None) -> tuple[ToolResult, str | None]:
    """What a tool returned, and a page's body, without the addresses of people who are forgotten."""
    written = addresses_in([result.text, result.payload, result.args, body])
    by_digest = {digest("email", address): address for address in written}
    found = await _among(conn, by_digest) if by_digest else set()
    if not found:
        return result, body
    redactor = Redactor(Traces(emails=tuple(sorted(by_digest[value] for value in found))))
    plain = {
        "text": redactor.redacted(result.text, beside=True),
        "payload": redactor.redacted(result.payload, beside=True),
        "args": redactor.redacted(result.args, beside=True),
    }
    return result.model_copy(update=plain), None if body is None else redactor.redacted(body, beside=True)


def _digests(person: Person, domains: Collection[str]) -> set[str]:
    named = {digest("person", domain, person_key(person.full_name)) for domain in domains}
    return named | ({digest("email", person.email)} if person.email else set())


async def _among(conn: Connection, digests: Collection[str]) -> set[str]:
    await conn.execute(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")
    cursor = await conn.execute("SELECT digest FROM forgotten WHERE digest = ANY(%s)", (list(digests),))
    return {row["digest"] for row in await cursor.fetchall()}
