"""What each way to go on may yield, counted from companies that were turned away. Read for the options of a decision."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from store.database import Connection


async def count_by_reason(conn: Connection, run_id: UUID) -> dict[str, int]:
    """Ended companies of a run by reason code."""
    cursor = await conn.execute(
        "SELECT reason, count(*) AS companies FROM company_candidates WHERE run_id = %s AND reason IS NOT NULL GROUP BY 1",
        (run_id,),
    )
    return {row["reason"]: row["companies"] for row in await cursor.fetchall()}


async def states_elsewhere(conn: Connection, run_id: UUID, pms: Sequence[str]) -> list[tuple[str, int]]:
    """States of the companies turned away for their place, most companies first.

    Args:
        pms: count only companies that run one of these; empty counts all.
    """
    return await _counted(conn, "r.facts->'places'->0->>'state'", run_id, "place_not_met", pms)


async def other_vendors(conn: Connection, run_id: UUID) -> list[tuple[str, int]]:
    """Software of the companies turned away for it, most companies first."""
    return await _counted(conn, "r.facts->>'pms'", run_id, "pms_not_met", ())


async def units_below(conn: Connection, run_id: UUID) -> list[int]:
    """Units of the companies turned away for having too few or many, largest first."""
    cursor = await conn.execute(
        """
        SELECT (r.facts->'units'->>'value')::int AS units
        FROM company_candidates c JOIN company_research r USING (company_id)
        WHERE c.run_id = %s AND c.reason = 'units_not_met' AND r.facts->'units'->>'value' IS NOT NULL
        ORDER BY 1 DESC
        """,
        (run_id,),
    )
    return [row["units"] for row in await cursor.fetchall()]


async def cost_per_complete(conn: Connection, run_id: UUID) -> float | None:
    """What one complete company has cost so far, in US dollars; None before the first."""
    cursor = await conn.execute(
        """
        SELECT (SELECT coalesce(sum(cost_usd), 0) FROM agent_turns WHERE run_id = %(run_id)s)::float8
               / nullif((SELECT count(*) FROM company_candidates WHERE run_id = %(run_id)s AND status = 'complete'), 0)
               AS cost_usd
        """,
        {"run_id": run_id},
    )
    row = await cursor.fetchone()
    return row["cost_usd"] if row else None


async def _counted(
    conn: Connection, expression: str, run_id: UUID, reason: str, pms: Sequence[str]
) -> list[tuple[str, int]]:
    # ``expression`` is one of the constants above, never input.
    query: Any = f"""
        SELECT {expression} AS value, count(*) AS companies
        FROM company_candidates c JOIN company_research r USING (company_id)
        WHERE c.run_id = %s AND c.reason = %s AND {expression} IS NOT NULL
          AND (cardinality(%s::text[]) = 0 OR r.facts->>'pms' = ANY(%s))
        GROUP BY 1 ORDER BY 2 DESC, 1
        """  # noqa: S608
    cursor = await conn.execute(query, (run_id, reason, list(pms), list(pms)))
    return [(row["value"], row["companies"]) for row in await cursor.fetchall()]
