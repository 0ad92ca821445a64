"""What a failure of the model's service means for a retry. The one place that decides it.

Temporal retries, the client does not. Every error gets a type, so that policies and workflows can tell them apart.
"""

from datetime import UTC, datetime, timedelta

import httpx2
import openai
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.failures import (
    MODEL_ACCESS_DENIED,
    MODEL_BAD_REQUEST,
    MODEL_QUOTA_EXCEEDED,
    MODEL_RATE_LIMITED,
    MODEL_SERVER_ERROR,
    MODEL_UNREACHABLE,
)
from domain.retry_after import retry_after_s

_RETRY_DELAY_MAX = timedelta(minutes=5)
_PAUSE_WITHIN_STEP_MAX = timedelta(
    minutes=1
)  # a few of them fit into the time of an agent call (``workflows/policies.py``)
# Statuses that come of proxies (502, 504; 520 and 524 are Cloudflare's): the server behind may have worked on the call.
_GATEWAY_LOST_IT = frozenset({502, 504, 520, 524})
_NEVER_LEFT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


def to_application_error(error: openai.APIError) -> ApplicationError:
    """An error of the model's service as Temporal understands it.

    Retryable: 408, 409, 429, 5xx, time-outs and broken connections; ``Retry-After`` becomes the next retry delay.
    Not retryable: all other 4xx, and a 429 for a quota that is used up.
    """
    if isinstance(error, openai.APITimeoutError):
        return ApplicationError("the model did not answer in time", type=MODEL_UNREACHABLE)
    if isinstance(error, openai.APIConnectionError):
        return ApplicationError("the model's server cannot be reached (OPENAI_BASE_URL)", type=MODEL_UNREACHABLE)
    if not isinstance(error, openai.APIStatusError):
        # An answer that the client could not read.
        return ApplicationError(f"the model's answer was not understood: {error.message}", type=MODEL_SERVER_ERROR)
    status = error.status_code
    details = f"HTTP {status}, request {error.request_id or 'without id'}"
    if status == 429 and error.code == "insufficient_quota":
        message = f"the model's quota is used up ({details}): add credit or raise the limit at the provider"
        return ApplicationError(message, type=MODEL_QUOTA_EXCEEDED, non_retryable=True)
    if status == 429:
        return ApplicationError(
            f"the model asks to slow down ({details})",
            type=MODEL_RATE_LIMITED,
            next_retry_delay=retry_after(error),
            category=ApplicationErrorCategory.BENIGN,
        )
    if status in {408, 409} or status >= 500:
        message = f"the model's server failed ({details})"
        return ApplicationError(message, type=MODEL_SERVER_ERROR, next_retry_delay=retry_after(error))
    if status in {401, 403, 404}:
        message = f"the model's server refused us ({details}): check OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL"
        return ApplicationError(message, type=MODEL_ACCESS_DENIED, non_retryable=True)
    return ApplicationError(
        f"the model's server refused the request ({details})", type=MODEL_BAD_REQUEST, non_retryable=True
    )


def may_be_charged(error: openai.APIError) -> bool:
    """Whether a call that came to nothing may have to be paid for all the same.

    Not where the provider itself refuses it or fails at it, nor where it never left. It may be where nobody answered in
    time, the connection broke, the answer could not be read, or a gateway has lost sight of the server behind it.
    """
    if isinstance(error, openai.APIStatusError):
        return error.status_code in _GATEWAY_LOST_IT
    return not isinstance(error.__cause__, _NEVER_LEFT)


def is_short_rate_limit(error: openai.APIError) -> bool:
    """Whether the service would take the call a little later: a 429 whose pause fits into the step that waits for it."""
    wanted = to_application_error(error)
    pause = wanted.next_retry_delay
    return wanted.type == MODEL_RATE_LIMITED and pause is not None and pause <= _PAUSE_WITHIN_STEP_MAX


def queue_full(seconds_until_free: float) -> ApplicationError:
    """Our own limit, or a pause that the service asks for: the queue for the next call is too long to stand in it."""
    return ApplicationError(
        f"too many calls wait for the model (MODEL_REQUESTS_PER_MINUTE): the next is free in {seconds_until_free:.0f} s",
        type=MODEL_RATE_LIMITED,
        next_retry_delay=min(timedelta(seconds=max(1.0, seconds_until_free)), _RETRY_DELAY_MAX),
        category=ApplicationErrorCategory.BENIGN,
    )


def superseded() -> ApplicationError:
    """Another worker has taken the conversation over, for this one was thought dead; this one ends."""
    return ApplicationError("another worker goes on with this conversation", type=MODEL_UNREACHABLE)


def retry_after(error: openai.APIStatusError) -> timedelta | None:
    """The pause that the server asks for (``retry-after-ms``, or ``Retry-After`` in seconds or as a date), up to
    five minutes; None where it asks for none."""
    headers, now = error.response.headers, datetime.now(UTC)
    milliseconds = retry_after_s(headers.get("retry-after-ms"), now)
    seconds = milliseconds / 1000 if milliseconds else retry_after_s(headers.get("retry-after"), now)
    return None if seconds is None else min(timedelta(seconds=seconds), _RETRY_DELAY_MAX)
