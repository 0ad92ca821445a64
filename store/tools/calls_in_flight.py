"""Claims on tool calls that a worker is making now. Table ``tool_calls_in_flight``."""

from uuid import UUID

from store.database import Connection


async def claim(conn: Connection, tool: str, args_hash: str, claim_id: UUID, lease_s: float) -> bool:
    """Claim a call for ``lease_s`` seconds. Returns False while another claim is valid."""
    # clock_timestamp() instead of now(), because this statement may have waited for a row lock.
    cursor = await conn.execute(
        """
        INSERT INTO tool_calls_in_flight AS held (tool, args_hash, claim_id, expires_at)
        VALUES (%s, %s, %s, clock_timestamp() + make_interval(secs => %s))
        ON CONFLICT (tool, args_hash) DO UPDATE SET claim_id = excluded.claim_id, expires_at = excluded.expires_at
            WHERE held.expires_at <= clock_timestamp()
        """,
        (tool, args_hash, claim_id, lease_s),
    )
    return cursor.rowcount == 1


async def renew(conn: Connection, tool: str, args_hash: str, claim_id: UUID, lease_s: float) -> None:
    """Extend the claim to ``lease_s`` seconds from now, unless another worker has taken it over."""
    await conn.execute(
        """
        UPDATE tool_calls_in_flight SET expires_at = clock_timestamp() + make_interval(secs => %s)
        WHERE tool = %s AND args_hash = %s AND claim_id = %s
        """,
        (lease_s, tool, args_hash, claim_id),
    )


async def release(conn: Connection, tool: str, args_hash: str, claim_id: UUID) -> None:
    await conn.execute(
        "DELETE FROM tool_calls_in_flight WHERE tool = %s AND args_hash = %s AND claim_id = %s",
        (tool, args_hash, claim_id),
    )
