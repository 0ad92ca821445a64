"""Translates OpenAI client errors into typed Temporal errors. Only Temporal retries: the client's retries are off."""

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
_IN_ACTIVITY_PAUSE_MAX = timedelta(minutes=1)  # several fit into one agent call (workflows/policies.py)
# A gateway lost its connection (520 and 524 are Cloudflare's). The server behind it may still have run the call.
_GATEWAY_STATUSES = frozenset({502, 504, 520, 524})
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


def to_application_error(error: openai.APIError) -> ApplicationError:
    """Return the Temporal error for a failed model call.

    Retryable: 408, 409, 429, 5xx, timeouts and broken connections. Not retryable: other 4xx and an exhausted quota.
    """
    if isinstance(error, openai.APITimeoutError):
        return ApplicationError("the model did not answer in time", type=MODEL_UNREACHABLE)
    if isinstance(error, openai.APIConnectionError):
        return ApplicationError("the model's server cannot be reached (OPENAI_BASE_URL)", type=MODEL_UNREACHABLE)
    if not isinstance(error, openai.APIStatusError):
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
            next_retry_delay=_retry_delay(error),
            category=ApplicationErrorCategory.BENIGN,
        )
    if status in {408, 409} or status >= 500:
        message = f"the model's server failed ({details})"
        return ApplicationError(message, type=MODEL_SERVER_ERROR, next_retry_delay=_retry_delay(error))
    if status in {401, 403, 404}:
        message = f"the model's server refused us ({details}): check OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL"
        return ApplicationError(message, type=MODEL_ACCESS_DENIED, non_retryable=True)
    message = f"the model's server refused the request ({details})"
    return ApplicationError(message, type=MODEL_BAD_REQUEST, non_retryable=True)


def may_be_charged(error: openai.APIError) -> bool:
    """Whether the provider may charge for a failed call: after a timeout, a broken connection or an unreadable answer."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code in _GATEWAY_STATUSES
    return not isinstance(error.__cause__, _NEVER_SENT)


def is_short_rate_limit(error: openai.APIError) -> bool:
    """Whether this is a 429 with a pause short enough to wait inside the activity."""
    failure = to_application_error(error)
    pause = failure.next_retry_delay
    return failure.type == MODEL_RATE_LIMITED and pause is not None and pause <= _IN_ACTIVITY_PAUSE_MAX


def queue_full(seconds_until_free: float) -> ApplicationError:
    """Return the error for a rate-limit queue too long to wait for inside the activity."""
    return ApplicationError(
        f"too many calls wait for the model (MODEL_REQUESTS_PER_MINUTE): the next is free in {seconds_until_free:.0f} s",
        type=MODEL_RATE_LIMITED,
        next_retry_delay=min(timedelta(seconds=max(1.0, seconds_until_free)), _RETRY_DELAY_MAX),
        category=ApplicationErrorCategory.BENIGN,
    )


def superseded() -> ApplicationError:
    """Return the error for a conversation that another worker took over because this one seemed dead."""
    return ApplicationError("another worker continues this conversation", type=MODEL_UNREACHABLE)


def _retry_delay(error: openai.APIStatusError) -> timedelta | None:
    headers, now = error.response.headers, datetime.now(UTC)
    milliseconds = retry_after_s(headers.get("retry-after-ms"), now)
    seconds = milliseconds / 1000 if milliseconds else retry_after_s(headers.get("retry-after"), now)
    return None if seconds is None else min(timedelta(seconds=seconds), _RETRY_DELAY_MAX)
