"""What a failure of the model's service means for a retry. The real client raises the errors on real HTTP answers."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import openai
import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from agents.errors import to_application_error
from domain.failures import outage_of
from tests.http_server import Reply, json_reply, serving


async def raised_by(base_url: str, timeout_s: float = 5.0) -> openai.APIError:
    """The error that the client raises on one call."""
    async with openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0, timeout=timeout_s) as client:
        with pytest.raises(openai.APIError) as error:
            await client.responses.create(model="any", input="hello")
    return error.value


async def on(status: int, code: str | None = None, **headers: str) -> ApplicationError:
    """The translation of an HTTP error."""
    body = {"error": {"message": "no", "type": "error", "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with serving(lambda _: json_reply(body, status, **named)) as server:
        return to_application_error(await raised_by(server.url))


@pytest.mark.parametrize(
    ("status", "code", "error_type", "is_retried", "is_dependency"),
    [
        (408, None, "ModelServerError", True, True),
        (409, None, "ModelServerError", True, True),
        (429, None, "ModelRateLimited", True, True),
        (500, None, "ModelServerError", True, True),
        (502, None, "ModelServerError", True, True),
        (503, None, "ModelServerError", True, True),
        (504, None, "ModelServerError", True, True),
        (400, None, "ModelBadRequest", False, False),
        (400, "context_length_exceeded", "ModelBadRequest", False, False),
        (413, None, "ModelBadRequest", False, False),
        (422, None, "ModelBadRequest", False, False),
        (401, None, "ModelAccessDenied", False, True),
        (403, None, "ModelAccessDenied", False, True),
        (404, None, "ModelAccessDenied", False, True),
        (429, "insufficient_quota", "ModelQuotaExceeded", False, True),
    ],
)
async def test_each_status_has_a_type_and_a_retry_rule(
    status: int, code: str | None, error_type: str, is_retried: bool, is_dependency: bool
) -> None:
    error = await on(status, code)
    assert (error.type, error.non_retryable) == (error_type, not is_retried)
    assert (outage_of(error.type, "", non_retryable=not is_retried) is not None) == is_dependency


async def test_an_exhausted_quota_is_not_waited_for() -> None:
    error = await on(429, code="insufficient_quota", retry_after="1")
    assert "quota" in error.message and error.next_retry_delay is None


async def test_a_rate_limit_is_benign() -> None:
    assert (await on(429)).category is ApplicationErrorCategory.BENIGN
    assert (await on(500)).category is not ApplicationErrorCategory.BENIGN


async def test_a_refusal_names_the_settings_to_check() -> None:
    assert "OPENAI_API_KEY" in (await on(401)).message
    assert "OPENAI_MODEL" in (await on(404)).message


async def test_the_message_names_the_request_and_not_its_content() -> None:
    error = await on(500, x_request_id="req_123")
    assert "HTTP 500, request req_123" in error.message
    assert "hello" not in error.message and "without id" in (await on(500)).message


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after_ms": "soon", "retry_after": "9"}, 9),
        ({"retry_after": "86400"}, 300),
        ({"retry_after": format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)}, 300),
        ({"retry_after": "soon"}, None),
        ({}, None),
    ],
)
async def test_the_requested_pause_is_the_next_delay(
    status: int, headers: dict[str, str], pause_s: float | None
) -> None:
    error = await on(status, **headers)
    assert error.next_retry_delay == (None if pause_s is None else timedelta(seconds=pause_s))


async def test_a_timeout_is_retried() -> None:
    async with serving(lambda _: Reply(after_s=5)) as server:
        error = to_application_error(await raised_by(server.url, timeout_s=0.2))
    assert (error.type, error.non_retryable) == ("ModelUnreachable", False)
    assert "in time" in error.message


async def test_an_unreachable_server_is_retried() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = to_application_error(await raised_by(f"http://127.0.0.1:{unused.getsockname()[1]}"))
    assert (error.type, error.non_retryable) == ("ModelUnreachable", False)
    assert "OPENAI_BASE_URL" in error.message


async def test_a_broken_connection_is_retried() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        error = to_application_error(await raised_by(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    assert (error.type, error.non_retryable) == ("ModelUnreachable", False)
