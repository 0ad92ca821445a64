"""Which tool calls are being made right now, by whichever worker. Table ``tool_calls_in_flight``."""

from uuid import UUID

from store.database import Connection


async def claim(conn: Connection, tool: str, args_hash: str, claim_id: UUID, lease_s: float) -> bool:
    """Claim a call for ``lease_s`` seconds; False while another's claim holds."""
    # The time of day, not of the transaction: this statement may have waited for another one's row.
    cursor = await conn.execute(
        """
        INSERT INTO tool_calls_in_flight AS held (tool, args_hash, claim_id, expires_at)
        VALUES (%s, %s, %s, clock_timestamp() + make_interval(secs => %s))
        ON CONFLICT (tool, args_hash) DO UPDATE SET claim_id = excluded.claim_id, expires_at = excluded.expires_at
            WHERE held.expires_at <= clock_timestamp()
        RETURNING 1
        """,
        (tool, args_hash, claim_id, lease_s),
    )
    return await cursor.fetchone() is not None


async def renew(conn: Connection, tool: str, args_hash: str, claim_id: UUID, lease_s: float) -> None:
    """Hold one's own claim for ``lease_s`` seconds from now; one that another has taken over stays theirs."""
    await conn.execute(
        """
        UPDATE tool_calls_in_flight SET expires_at = clock_timestamp() + make_interval(secs => %s)
        WHERE tool = %s AND args_hash = %s AND claim_id = %s
        """,
        (lease_s, tool, args_hash, claim_id),
    )


async def release(conn: Connection, tool: str, args_hash: str, claim_id: UUID) -> None:
    """Give one's own claim back."""
    await conn.execute(
        "DELETE FROM tool_calls_in_flight WHERE tool = %s AND args_hash = %s AND claim_id = %s",
        (tool, args_hash, claim_id),
    )
