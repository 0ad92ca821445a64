"""Who must never be delivered. Table ``suppression_domains``; one list, read by one gate (DOMAIN, "Suppression")."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.identity import comparable_name
from store.database import Connection

SuppressionReason = Literal["customer", "contacted", "do_not_contact"]


class Suppression(BaseModel):
    """One entry: a registrable domain, or a company name with its state."""

    model_config = ConfigDict(frozen=True)

    domain: str | None = None
    name: str | None = None
    state: str | None = None
    reason: SuppressionReason
    contacted_at: datetime | None = None
    source: str


async def upsert(conn: Connection, entries: Iterable[Suppression]) -> int:
    """Add entries; one that is already listed is updated. Returns how many were given."""
    count = 0
    for entry in entries:
        name_key = comparable_name(entry.name) if entry.name else None
        key = entry.domain or f"{name_key}|{entry.state}"
        await conn.execute(
            """
            INSERT INTO suppression_domains (entry_key, domain, name_key, state, reason, contacted_at, source)
            VALUES (%s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (entry_key) DO UPDATE
            SET reason = excluded.reason,
                contacted_at = greatest(suppression_domains.contacted_at, excluded.contacted_at),
                source = excluded.source
            """,
            (
                f"{entry.reason}:{key}",
                entry.domain,
                name_key,
                entry.state,
                entry.reason,
                entry.contacted_at,
                entry.source,
            ),
        )
        count += 1
    return count


async def find_match(
    conn: Connection, domains: Sequence[str], name: str, states: Sequence[str], contacted_days: int
) -> str | None:
    """Why a company is suppressed, or None. Any error reaches the caller: an unread list holds the company back.

    Args:
        domains: own registrable domain, aliases and portal hosts.
        name, states: matched together, on the comparable name.
        contacted_days: an entry of reason ``contacted`` older than this no longer counts.
    """
    cursor = await conn.execute(
        """
        SELECT reason FROM suppression_domains
        WHERE (domain = ANY(%(domains)s) OR (name_key = %(name_key)s AND state = ANY(%(states)s)))
          AND (reason <> 'contacted' OR contacted_at IS NULL
               OR contacted_at > now() - make_interval(days => %(days)s))
        ORDER BY reason LIMIT 1
        """,
        {
            "domains": list(domains),
            "name_key": comparable_name(name),
            "states": list(states),
            "days": contacted_days,
        },
    )
    row = await cursor.fetchone()
    return row["reason"] if row else None
