"""When a site may be fetched next, for all workers together. Table ``host_pace``.

A fetch first reserves a start, which gives it its place in the queue, and when that has come, starts: only that is
sure to keep two fetches apart, for a busy worker wakes up late.
"""

from store.database import Connection


async def reserve_start(conn: Connection, domain: str, *, interval_s: float, wait_max_s: float) -> float | None:
    """Reserve the next start of a fetch of this domain; one that is free now is taken at once.

    One statement by the database's clock alone, so that two workers never get the same start.

    Returns:
        0 when the fetch has started. Otherwise seconds to wait before ``start`` is tried. None, and nothing is
        reserved, when that is more than ``wait_max_s``.
    """
    # The time of day, not of the transaction: this statement may have waited for another one's row.
    cursor = await conn.execute(
        """
        INSERT INTO host_pace AS pace (domain, next_at, started_at)
        VALUES (%(domain)s, clock_timestamp() + make_interval(secs => %(interval_s)s), clock_timestamp())
        ON CONFLICT (domain) DO UPDATE SET
            next_at = greatest(pace.next_at, pace.started_at + make_interval(secs => %(interval_s)s), clock_timestamp())
                      + make_interval(secs => %(interval_s)s),
            started_at = CASE
                WHEN greatest(pace.next_at, pace.started_at + make_interval(secs => %(interval_s)s)) <= clock_timestamp()
                THEN clock_timestamp() ELSE pace.started_at END
            WHERE pace.next_at <= clock_timestamp() + make_interval(secs => %(wait_max_s)s)
        RETURNING extract(epoch FROM next_at - make_interval(secs => %(interval_s)s) - clock_timestamp())::float8 AS wait_s
        """,
        {"domain": domain, "interval_s": interval_s, "wait_max_s": wait_max_s},
    )
    row = await cursor.fetchone()
    return max(0.0, float(row["wait_s"])) if row else None


async def start(conn: Connection, domain: str, *, interval_s: float) -> float:
    """Start a fetch of this domain, unless the one before has started less than ``interval_s`` ago.

    Returns:
        0 when the fetch has started, otherwise seconds to wait before it is tried again.
    """
    cursor = await conn.execute(
        """
        WITH started AS (
            UPDATE host_pace SET started_at = clock_timestamp()
            WHERE domain = %(domain)s AND started_at <= clock_timestamp() - make_interval(secs => %(interval_s)s)
            RETURNING 1
        )
        SELECT extract(epoch FROM started_at + make_interval(secs => %(interval_s)s) - clock_timestamp())::float8 AS wait_s
        FROM host_pace WHERE domain = %(domain)s AND NOT EXISTS (SELECT 1 FROM started)
        """,
        {"domain": domain, "interval_s": interval_s},
    )
    row = await cursor.fetchone()
    return max(_AGAIN_S, float(row["wait_s"])) if row else 0.0


_AGAIN_S = 0.01  # another has started in the same moment; how long to wait is known at the next try
