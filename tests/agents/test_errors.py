"""What a failure of the model's service means for a retry (DESIGN, "One agent call"; LESSONS F26, F65).

The errors are those that the real client raises on real HTTP answers.
"""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import openai
import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from agents.errors import to_application_error
from domain.failures import DEPENDENCY_FAILURES
from tests.http_server import Reply, json_reply, serving


async def raised_by(base_url: str, timeout_s: float = 5.0) -> openai.APIError:
    """The error that the client raises on one call."""
    async with openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0, timeout=timeout_s) as client:
        with pytest.raises(openai.APIError) as error:
            await client.responses.create(model="any", input="hello")
    return error.value


async def raised_on(reply: Reply, timeout_s: float = 5.0) -> openai.APIError:
    """The error that the client raises on an answer."""
    async with serving(lambda _: reply) as server:
        return await raised_by(server.url, timeout_s)


async def on(status: int, code: str | None = None, **headers: str) -> ApplicationError:
    """What an answer with an error becomes."""
    body = {"error": {"message": "no", "type": "error", "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return to_application_error(await raised_on(json_reply(body, status, **named)))


@pytest.mark.parametrize(
    ("status", "error_type"),
    [
        (408, "ModelServerError"),
        (409, "ModelServerError"),
        (429, "ModelRateLimited"),
        (500, "ModelServerError"),
        (502, "ModelServerError"),
        (503, "ModelServerError"),
        (504, "ModelServerError"),
    ],
)
async def test_f65_what_may_pass_is_tried_again(status: int, error_type: str) -> None:
    error = await on(status)
    assert (error.type, error.non_retryable) == (error_type, False)
    assert error.type in DEPENDENCY_FAILURES


@pytest.mark.parametrize(
    ("status", "error_type", "is_dependency"),
    [
        (400, "ModelBadRequest", False),
        (413, "ModelBadRequest", False),
        (422, "ModelBadRequest", False),
        (401, "ModelAccessDenied", True),
        (403, "ModelAccessDenied", True),
        (404, "ModelAccessDenied", True),
    ],
)
async def test_f65_what_would_fail_again_is_not_tried_again(status: int, error_type: str, is_dependency: bool) -> None:
    error = await on(status)
    assert (error.type, error.non_retryable) == (error_type, True)
    assert (error.type in DEPENDENCY_FAILURES) == is_dependency


async def test_a_context_that_is_too_long_fails_one_company_and_not_the_run() -> None:
    error = await on(400, code="context_length_exceeded")
    assert error.non_retryable and error.type not in DEPENDENCY_FAILURES


async def test_a_quota_that_is_used_up_is_no_reason_to_wait_and_try_again() -> None:
    error = await on(429, code="insufficient_quota", retry_after="1")
    assert (error.type, error.non_retryable, error.next_retry_delay) == ("ModelQuotaExceeded", True, None)
    assert "quota" in error.message and error.type in DEPENDENCY_FAILURES


async def test_being_asked_to_slow_down_is_nothing_to_raise_an_alarm_about() -> None:
    assert (await on(429)).category is ApplicationErrorCategory.BENIGN
    assert (await on(500)).category is not ApplicationErrorCategory.BENIGN


async def test_a_refusal_names_the_settings_to_check() -> None:
    assert "OPENAI_API_KEY" in (await on(401)).message
    assert "OPENAI_MODEL" in (await on(404)).message


async def test_the_message_names_the_request_and_never_what_was_sent() -> None:
    error = await on(500, x_request_id="req_123")
    assert "HTTP 500, request req_123" in error.message
    assert "hello" not in error.message and "without id" in (await on(500)).message


def _in(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after_ms": "soon", "retry_after": "9"}, 9),
        ({"retry_after": "86400"}, 300),
        ({}, None),
        ({"retry_after": "0"}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "1e999"}, None),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"retry_after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
    ],
)
async def test_the_pause_that_the_server_asks_for_becomes_the_next_delay(
    status: int, headers: dict[str, str], pause_s: float | None
) -> None:
    error = await on(status, **headers)
    assert error.next_retry_delay == (None if pause_s is None else timedelta(seconds=pause_s))


async def test_the_pause_may_be_given_as_a_date() -> None:
    delay = (await on(429, retry_after=_in(60))).next_retry_delay
    assert delay is not None and timedelta(seconds=55) < delay <= timedelta(seconds=60)
    assert (await on(503, retry_after=_in(86_400))).next_retry_delay == timedelta(minutes=5)


async def test_an_answer_that_does_not_come_in_time_is_tried_again() -> None:
    error = to_application_error(await raised_on(Reply(after_s=5), timeout_s=0.2))
    assert (error.type, error.non_retryable) == ("ModelUnreachable", False)
    assert "in time" in error.message


async def test_a_server_that_cannot_be_reached_is_tried_again() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = to_application_error(await raised_by(f"http://127.0.0.1:{unused.getsockname()[1]}"))
    assert (error.type, error.non_retryable) == ("ModelUnreachable", False)
    assert "OPENAI_BASE_URL" in error.message


async def test_a_connection_that_breaks_is_tried_again() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        error = to_application_error(await raised_by(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    assert (error.type, error.non_retryable) == ("ModelUnreachable", False)
