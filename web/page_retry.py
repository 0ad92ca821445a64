"""Which failures of a site may pass by themselves, and when it is worth asking again.

A page that failed once is no dead site (LESSONS F65). Whoever needs it asks again some seconds later; only a page that failed
several times in a row is taken for what it seems to be. How often is counted in the store, over all workers and steps, so
that a site which really is dead costs each of them little. What must not be concluded meanwhile: ``site.py``.
"""

from pydantic import JsonValue

from store.tools.tool_results import ToolResult

RETRY_AFTER_MAX_S = 60.0
"""How much of a pause that a site asks for (``Retry-After``) is kept."""
ROBOTS_UNREACHABLE = "robots_unreachable"
REFUSED = "unreachable_refused"
"""The reasons of pages whose robots.txt was answered with a server error; and of those on whose host nobody listens."""

_PAUSES_S = (3.0, 8.0, 8.0)  # after the first, second, third failure: a restart or a short overload is over by then
# Tries in a row before a failure is taken as it is; the others are as many as there are pauses, and one.
_TRIES_MAX = {
    REFUSED: 2,  # somebody said no; a server that starts again is there for the second try
    "timeout": 3,  # each has waited for PAGE_TIMEOUT_S
}
_CLOCKS_APART_S = 1.0  # a stored failure has expired when its pause is over, also where a worker's clock is ahead
_CONNECTION_LOST = frozenset(
    f"unreachable_{error}"
    for error in ("connecterror", "closeerror", "proxyerror", "readerror", "remoteprotocolerror", "writeerror")
)
_FOR_EVER = frozenset({501, 505})  # 5xx that say what a server is, not how it fares (RFC 9110, 15.6)


def is_transient(reason: str | None) -> bool:
    """Whether a page that failed for this reason (``FetchedPage.reason``) may well be there a little later."""
    if reason is None:
        return False
    if reason.startswith("http_"):
        status = int(reason.removeprefix("http_"))
        return status in {408, 429} or (500 <= status < 600 and status not in _FOR_EVER)
    return reason in {"timeout", ROBOTS_UNREACHABLE, REFUSED} or reason in _CONNECTION_LOST


def failure_payload(reason: str, earlier_tries: int, retry_after_s: float | None) -> dict[str, JsonValue]:
    """What the payload of a page that failed for a transient reason says of it: ``attempts`` in a row, and ``retry_in_s``
    (seconds) while it is worth asking again.

    Args:
        retry_after_s: the pause that the site asks for, if it does.
    """
    attempts = earlier_tries + 1
    if attempts >= _TRIES_MAX.get(reason, len(_PAUSES_S) + 1):
        return {"attempts": attempts}
    return {
        "attempts": attempts,
        "retry_in_s": max(_PAUSES_S[attempts - 1], min(retry_after_s or 0.0, RETRY_AFTER_MAX_S)),
    }


def attempts(page: ToolResult | None) -> int:
    """How often in a row a page had failed for a transient reason when this result came; 0 for any other result."""
    return int(page.payload.get("attempts", 0)) if page is not None else 0


def retry_in_s(page: ToolResult) -> float | None:
    """Seconds after which a failed page is worth asking for again; None for every result that stands."""
    pause_s = page.payload.get("retry_in_s")
    return None if pause_s is None else float(pause_s)


def kept_s(pause_s: float) -> float:
    """How long such a failure serves those who ask meanwhile: until shortly before its pause is over."""
    return pause_s - _CLOCKS_APART_S
