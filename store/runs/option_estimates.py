"""Estimates for the options of a decision, counted from the rejected companies."""

from collections.abc import Sequence
from uuid import UUID

from store.database import Connection, fetch_column, fetch_rows, fetch_value


async def count_by_reason(conn: Connection, run_id: UUID) -> dict[str, int]:
    """Count a run's ended companies by reason code."""
    query = """
        SELECT reason, count(*) AS companies FROM company_candidates
        WHERE run_id = %s AND reason IS NOT NULL GROUP BY 1
    """
    return {row["reason"]: row["companies"] for row in await fetch_rows(conn, query, (run_id,))}


async def states_elsewhere(conn: Connection, run_id: UUID, pms: Sequence[str]) -> list[tuple[str, int]]:
    """Count the companies rejected for their place, by state, largest count first.

    Args:
        pms: count only companies with this software. Empty counts all.
    """
    return await _count_values(conn, "r.facts->'places'->0->>'state'", run_id, "place_not_met", pms)


async def other_vendors(conn: Connection, run_id: UUID) -> list[tuple[str, int]]:
    """Count the companies rejected for their software, by software, largest count first."""
    return await _count_values(conn, "r.facts->>'pms'", run_id, "pms_not_met", ())


async def units_below(conn: Connection, run_id: UUID) -> list[int]:
    """Return the units of companies that were rejected for their units, largest first."""
    query = """
        SELECT (r.facts->'units'->>'value')::int FROM company_candidates c JOIN company_research r USING (company_id)
        WHERE c.run_id = %s AND c.reason = 'units_not_met' AND r.facts->'units'->>'value' IS NOT NULL
        ORDER BY 1 DESC
    """
    return await fetch_column(conn, query, (run_id,))


async def cost_per_complete(conn: Connection, run_id: UUID) -> float | None:
    """Return the model cost per complete company so far, in US dollars. None if no company is complete."""
    query = """
        SELECT (SELECT coalesce(sum(cost_usd), 0) FROM agent_turns WHERE run_id = %(run_id)s)::float8
               / nullif((SELECT count(*) FROM company_candidates WHERE run_id = %(run_id)s AND status = 'complete'), 0)
    """
    cost_usd: float | None = await fetch_value(conn, query, {"run_id": run_id})
    return cost_usd


async def _count_values(
    conn: Connection, expression: str, run_id: UUID, reason: str, pms: Sequence[str]
) -> list[tuple[str, int]]:
    query = f"""
        SELECT {expression} AS value, count(*) AS companies
        FROM company_candidates c JOIN company_research r USING (company_id)
        WHERE c.run_id = %s AND c.reason = %s AND {expression} IS NOT NULL
          AND (cardinality(%s::text[]) = 0 OR r.facts->>'pms' = ANY(%s))
        GROUP BY 1 ORDER BY 2 DESC, 1
    """  # noqa: S608  # the expression is a constant of this module
    rows = await fetch_rows(conn, query, (run_id, reason, list(pms), list(pms)))
    return [(row["value"], row["companies"]) for row in rows]
