"""Retries of the running activity."""

from temporalio import activity


def is_last_attempt() -> bool:
    """Whether no retry follows. The last attempt skips unreadable pages. Earlier attempts fail on them."""
    if not activity.in_activity():
        return True
    info = activity.info()
    maximum = info.retry_policy.maximum_attempts if info.retry_policy is not None else 1
    return 0 < maximum <= info.attempt  # 0: unlimited
