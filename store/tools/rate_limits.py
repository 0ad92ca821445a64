"""Rate limits of sites and services, shared by all workers. Table ``rate_limits``.

A request reserves a start time, waits for it, and calls ``try_start``, because a busy worker may wake up late. After a
``release``, two requests can wait for the same time. One of them then waits another interval.
"""

from store.database import Connection, fetch_value

_AFTER_PAUSE_S = 0.2  # shortest interval after a pause, because a burst would cause the next pause
_RETRY_S = 0.01  # shortest wait before the next attempt


async def reserve_start(conn: Connection, name: str, *, interval_s: float, wait_max_s: float) -> float | None:
    """Reserve the next start time, or start at once if nobody else has it.

    Args:
        name: a registrable domain, or ``kind:service``.

    Returns:
        0 if the request has started, or the seconds to wait before ``try_start``. None if that exceeds ``wait_max_s``: nothing
        is reserved.
    """
    # clock_timestamp() instead of now(), because this statement may have waited for a row lock.
    wait_s = await fetch_value(
        conn,
        """
        INSERT INTO rate_limits AS r (name, next_at, started_at)
        VALUES (%(name)s, clock_timestamp() + make_interval(secs => %(interval_s)s), clock_timestamp())
        ON CONFLICT (name) DO UPDATE SET
            next_at = greatest(r.next_at, r.started_at + make_interval(secs => %(interval_s)s),
                               r.paused_until, clock_timestamp())
                      + make_interval(secs => CASE WHEN r.paused_until > clock_timestamp()
                                                   THEN %(apart_s)s ELSE %(interval_s)s END),
            started_at = CASE
                WHEN greatest(r.next_at, r.started_at + make_interval(secs => %(interval_s)s), r.paused_until)
                     <= clock_timestamp()
                THEN clock_timestamp() ELSE r.started_at END
            WHERE greatest(r.next_at, r.paused_until) <= clock_timestamp() + make_interval(secs => %(wait_max_s)s)
        RETURNING extract(epoch FROM
            next_at - make_interval(secs => CASE WHEN paused_until > clock_timestamp()
                                                 THEN %(apart_s)s ELSE %(interval_s)s END)
            - clock_timestamp())::float8
        """,
        {
            "name": name,
            "interval_s": interval_s,
            "apart_s": max(interval_s, _AFTER_PAUSE_S),
            "wait_max_s": wait_max_s,
        },
    )
    return None if wait_s is None else max(0.0, wait_s)


async def try_start(conn: Connection, name: str, *, interval_s: float) -> float:
    """Start a request whose reserved time has come, unless the previous one started less than ``interval_s`` ago.

    If the service has asked for a pause since the reservation, reserve a new start time after the pause instead.

    Returns:
        0 if the request has started, or the seconds to wait before the next attempt.
    """
    wait_s = await fetch_value(
        conn,
        """
        WITH paused AS (
            UPDATE rate_limits SET next_at = greatest(next_at, paused_until) + make_interval(secs => %(apart_s)s)
            WHERE name = %(name)s AND paused_until > clock_timestamp()
            RETURNING next_at - make_interval(secs => %(apart_s)s) AS free_at
        ), started AS (
            UPDATE rate_limits SET started_at = clock_timestamp()
            WHERE name = %(name)s AND started_at <= clock_timestamp() - make_interval(secs => %(interval_s)s)
                  AND NOT EXISTS (SELECT 1 FROM paused)
            RETURNING 1
        )
        SELECT extract(epoch FROM
                       coalesce((SELECT free_at FROM paused), started_at + make_interval(secs => %(interval_s)s))
                       - clock_timestamp())::float8
        FROM rate_limits WHERE name = %(name)s AND NOT EXISTS (SELECT 1 FROM started)
        """,
        {"name": name, "interval_s": interval_s, "apart_s": max(interval_s, _AFTER_PAUSE_S)},
    )
    return 0.0 if wait_s is None else max(_RETRY_S, wait_s)


async def release(conn: Connection, name: str, *, interval_s: float) -> None:
    """Give up a reservation. The next request then waits one interval less."""
    await conn.execute(
        "UPDATE rate_limits SET next_at = next_at - make_interval(secs => %s) WHERE name = %s", (interval_s, name)
    )


async def pause(conn: Connection, name: str, *, for_s: float) -> None:
    """Stop all workers' requests for ``for_s`` seconds. A longer pause stays in force."""
    await conn.execute(
        """
        INSERT INTO rate_limits AS r (name, next_at, started_at, paused_until)
        VALUES (%(name)s, clock_timestamp(), clock_timestamp(), clock_timestamp() + make_interval(secs => %(for_s)s))
        ON CONFLICT (name) DO UPDATE SET paused_until = greatest(r.paused_until, excluded.paused_until)
        """,
        {"name": name, "for_s": for_s},
    )


async def seconds_until_free(conn: Connection, name: str) -> float:
    """Return the seconds until the first start time that nobody has reserved."""
    query = """
        SELECT extract(epoch FROM greatest(next_at, paused_until) - clock_timestamp())::float8
        FROM rate_limits WHERE name = %s
    """
    return max(0.0, await fetch_value(conn, query, (name,)) or 0.0)
