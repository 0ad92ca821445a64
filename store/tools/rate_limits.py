"""When a site or a service may be asked next, for all workers together. Table ``rate_limits``.

A request first reserves a start, which gives it its place in the queue, and when that has come, starts: only that is
sure to keep two requests apart, for a busy worker wakes up late. A reservation that is given back shortens the queue; should
two requests then wait for the same start, one of them is told to wait an interval more.
"""

from store.database import Connection


async def reserve_start(conn: Connection, name: str, *, interval_s: float, wait_max_s: float) -> float | None:
    """Reserve the next start of a request; one that is free now is taken at once.

    One statement by the database's clock alone, so that two workers never get the same start.

    Args:
        name: what is asked: a registrable domain, or ``kind:service``.

    Returns:
        0 when the request has started. Otherwise seconds to wait before ``start`` is tried. None, and nothing is
        reserved, when that is more than ``wait_max_s``.
    """
    # The time of day, not of the transaction: this statement may have waited for another one's row.
    cursor = await conn.execute(
        """
        INSERT INTO rate_limits AS pace (name, next_at, started_at)
        VALUES (%(name)s, clock_timestamp() + make_interval(secs => %(interval_s)s), clock_timestamp())
        ON CONFLICT (name) DO UPDATE SET
            next_at = greatest(pace.next_at, pace.started_at + make_interval(secs => %(interval_s)s),
                               pace.paused_until, clock_timestamp())
                      + make_interval(secs => CASE WHEN pace.paused_until > clock_timestamp()
                                                   THEN %(apart_s)s ELSE %(interval_s)s END),
            started_at = CASE
                WHEN greatest(pace.next_at, pace.started_at + make_interval(secs => %(interval_s)s), pace.paused_until)
                     <= clock_timestamp()
                THEN clock_timestamp() ELSE pace.started_at END
            WHERE greatest(pace.next_at, pace.paused_until)
                  <= clock_timestamp() + make_interval(secs => %(wait_max_s)s)
        RETURNING extract(epoch FROM
            next_at - make_interval(secs => CASE WHEN paused_until > clock_timestamp()
                                                 THEN %(apart_s)s ELSE %(interval_s)s END)
            - clock_timestamp())::float8 AS wait_s
        """,
        {
            "name": name,
            "interval_s": interval_s,
            "apart_s": max(interval_s, _BEHIND_A_PAUSE_S),
            "wait_max_s": wait_max_s,
        },
    )
    row = await cursor.fetchone()
    return max(0.0, float(row["wait_s"])) if row else None


async def start(conn: Connection, name: str, *, interval_s: float) -> float:
    """Start a request whose reserved start has come, unless the one before has started less than ``interval_s`` ago.

    Where the service has asked for a pause meanwhile, a new start behind it is reserved: all who wait keep their order and
    their distance, and do not come at once when the pause ends.

    Returns:
        0 when the request has started, otherwise seconds to wait before it is tried again.
    """
    cursor = await conn.execute(
        """
        WITH held AS (
            UPDATE rate_limits SET next_at = greatest(next_at, paused_until) + make_interval(secs => %(apart_s)s)
            WHERE name = %(name)s AND paused_until > clock_timestamp()
            RETURNING next_at - make_interval(secs => %(apart_s)s) AS free_at
        ), started AS (
            UPDATE rate_limits SET started_at = clock_timestamp()
            WHERE name = %(name)s AND started_at <= clock_timestamp() - make_interval(secs => %(interval_s)s)
                  AND NOT EXISTS (SELECT 1 FROM held)
            RETURNING 1
        )
        SELECT extract(epoch FROM
                       coalesce((SELECT free_at FROM held), started_at + make_interval(secs => %(interval_s)s))
                       - clock_timestamp())::float8 AS wait_s
        FROM rate_limits WHERE name = %(name)s AND NOT EXISTS (SELECT 1 FROM started)
        """,
        {"name": name, "interval_s": interval_s, "apart_s": max(interval_s, _BEHIND_A_PAUSE_S)},
    )
    row = await cursor.fetchone()
    return max(_AGAIN_S, float(row["wait_s"])) if row else 0.0


async def release(conn: Connection, name: str, *, interval_s: float) -> None:
    """Take a reservation out of the queue that will not be used: who comes next waits an interval less."""
    await conn.execute(
        "UPDATE rate_limits SET next_at = next_at - make_interval(secs => %s) WHERE name = %s", (interval_s, name)
    )


async def pause(conn: Connection, name: str, *, for_s: float) -> None:
    """Let no request start for so long, by any worker; a longer pause that was asked for before stands."""
    await conn.execute(
        """
        INSERT INTO rate_limits AS pace (name, next_at, started_at, paused_until)
        VALUES (%(name)s, clock_timestamp(), clock_timestamp(), clock_timestamp() + make_interval(secs => %(for_s)s))
        ON CONFLICT (name) DO UPDATE SET paused_until = greatest(pace.paused_until, excluded.paused_until)
        """,
        {"name": name, "for_s": for_s},
    )


async def seconds_until_free(conn: Connection, name: str) -> float:
    """Seconds until the first start that nobody has reserved."""
    cursor = await conn.execute(
        """
        SELECT extract(epoch FROM greatest(next_at, paused_until) - clock_timestamp())::float8 AS wait_s
        FROM rate_limits WHERE name = %s
        """,
        (name,),
    )
    row = await cursor.fetchone()
    return max(0.0, float(row["wait_s"])) if row else 0.0


# Behind a pause that a service has asked for, also where it has no limit: all at once would be the next reason to ask for one.
_BEHIND_A_PAUSE_S = 0.2
_AGAIN_S = 0.01  # another has started in the same moment; how long to wait is known at the next try
