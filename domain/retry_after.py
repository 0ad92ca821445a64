"""Parse the ``Retry-After`` header."""

from datetime import datetime
from email.utils import parsedate_to_datetime


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return the pause in seconds, from a number or a date (RFC 9110). None unless it is valid and positive."""
    try:
        seconds = float(header or "")
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header or "") - now).total_seconds()
        except (ValueError, TypeError):  # TypeError: a date without a time zone
            return None
    return seconds if 0 < seconds < float("inf") else None
