"""Whether a step that fails now will be tried again."""

from temporalio import activity


def is_last_attempt() -> bool:
    """Whether this attempt of the activity is the last one that its policy allows.

    A step that could not read a page fails while there are others, and goes on without the page in the last one.
    """
    if not activity.in_activity():
        return True  # called directly, nobody tries it again
    info = activity.info()
    maximum = info.retry_policy.maximum_attempts if info.retry_policy is not None else 1
    return 0 < maximum <= info.attempt  # 0: as many as it takes
