"""Decides which page failures are temporary, and when to retry.

Consecutive failures are counted in the database for all workers, so a dead site costs each of them little.
"""

from pydantic import JsonValue

from store.tools.tool_results import ToolResult

RETRY_AFTER_MAX_S = 60.0
"""The longest ``Retry-After`` that is respected."""
ROBOTS_UNREACHABLE = "robots_unreachable"
"""The ``reason`` of a page whose site answers robots.txt with a server error."""
REFUSED = "unreachable_refused"
"""The ``reason`` of a page whose host refused the connection."""

_PAUSES_S = (3.0, 8.0, 8.0)  # after failures 1, 2 and 3; time for a restart or a short overload
# The number of failed attempts after which a failure is final. By default one more than there are pauses.
_ATTEMPTS_MAX = {
    REFUSED: 2,  # a server that was starting answers the second attempt
    "timeout": 3,  # each takes PAGE_TIMEOUT_S
}
_CLOCK_SKEW_S = 1.0  # between workers: the stored failure must expire before its retry
_CONNECTION_ERRORS = frozenset(
    f"unreachable_{error}"
    for error in ("connecterror", "closeerror", "proxyerror", "readerror", "remoteprotocolerror", "writeerror")
)
_PERMANENT_5XX = frozenset({501, 505})  # the server lacks a feature (RFC 9110, 15.6)


def is_transient(reason: str | None) -> bool:
    """Whether a page that failed for this reason may work a little later."""
    if reason is None:
        return False
    if reason.startswith("http_"):
        status = int(reason.removeprefix("http_"))
        return status in {408, 429} or (500 <= status < 600 and status not in _PERMANENT_5XX)
    return reason in {"timeout", ROBOTS_UNREACHABLE, REFUSED} or reason in _CONNECTION_ERRORS


def failure_payload(reason: str, earlier_attempts: int, retry_after_s: float | None) -> dict[str, JsonValue]:
    """Return what to store with a temporary failure. ``retry_in_s`` is absent once the failure is final."""
    attempts = earlier_attempts + 1
    if attempts >= _ATTEMPTS_MAX.get(reason, len(_PAUSES_S) + 1):
        return {"attempts": attempts}
    pause_s = max(_PAUSES_S[attempts - 1], min(retry_after_s or 0.0, RETRY_AFTER_MAX_S))
    return {"attempts": attempts, "retry_in_s": pause_s}


def failed_attempts(page: ToolResult | None) -> int:
    """Return the number of consecutive temporary failures."""
    return int(page.payload.get("attempts", 0)) if page is not None else 0


def retry_in_s(page: ToolResult) -> float | None:
    """Return the seconds until a failed page should be retried, or None if the result is final."""
    pause_s = page.payload.get("retry_in_s")
    return None if pause_s is None else float(pause_s)


def failure_ttl_s(pause_s: float) -> float:
    """Return how long to cache a temporary failure: until just before its retry."""
    return pause_s - _CLOCK_SKEW_S
