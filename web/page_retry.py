"""Which page failures are temporary, and when to retry.

Failures in a row are counted in the store, over all workers and activities. So a dead site costs each of them little.
"""

from pydantic import JsonValue

from store.tools.tool_results import ToolResult

RETRY_AFTER_MAX_S = 60.0
"""The longest ``Retry-After`` of a site that is respected."""
ROBOTS_UNREACHABLE = "robots_unreachable"
"""The reason of a page whose robots.txt was answered with a server error."""
REFUSED = "unreachable_refused"
"""The reason of a page whose host refused the connection."""

_PAUSES_S = (3.0, 8.0, 8.0)  # after the first, second and third failure; long enough for a restart or a short overload
# Attempts in a row before a failure is final; one more than there are pauses unless named here.
_ATTEMPTS_MAX = {
    REFUSED: 2,  # a server that is starting answers the second one
    "timeout": 3,  # each takes PAGE_TIMEOUT_S
}
_CLOCK_SKEW_S = 1.0  # between workers: a stored failure must have expired when its retry comes
_CONNECTION_ERRORS = frozenset(
    f"unreachable_{error}"
    for error in ("connecterror", "closeerror", "proxyerror", "readerror", "remoteprotocolerror", "writeerror")
)
_PERMANENT_5XX = frozenset({501, 505})  # about what the server is, not how it is doing (RFC 9110, 15.6)


def is_transient(reason: str | None) -> bool:
    """Whether a page that failed for this reason (``FetchedPage.reason``) may be readable a little later."""
    if reason is None:
        return False
    if reason.startswith("http_"):
        status = int(reason.removeprefix("http_"))
        return status in {408, 429} or (500 <= status < 600 and status not in _PERMANENT_5XX)
    return reason in {"timeout", ROBOTS_UNREACHABLE, REFUSED} or reason in _CONNECTION_ERRORS


def failure_payload(reason: str, earlier_attempts: int, retry_after_s: float | None) -> dict[str, JsonValue]:
    """What is stored with a temporary failure: failed ``attempts`` in a row, and ``retry_in_s`` unless it is final."""
    attempts = earlier_attempts + 1
    if attempts >= _ATTEMPTS_MAX.get(reason, len(_PAUSES_S) + 1):
        return {"attempts": attempts}
    pause_s = max(_PAUSES_S[attempts - 1], min(retry_after_s or 0.0, RETRY_AFTER_MAX_S))
    return {"attempts": attempts, "retry_in_s": pause_s}


def failed_attempts(page: ToolResult | None) -> int:
    """Temporary failures of a page in a row; 0 for any other result."""
    return int(page.payload.get("attempts", 0)) if page is not None else 0


def retry_in_s(page: ToolResult) -> float | None:
    """Seconds until a failed page should be asked for again; None if the result is final."""
    pause_s = page.payload.get("retry_in_s")
    return None if pause_s is None else float(pause_s)


def failure_ttl_s(pause_s: float) -> float:
    """How long a temporary failure is cached: until just before its retry."""
    return pause_s - _CLOCK_SKEW_S
