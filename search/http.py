"""One HTTP exchange with a search service: a parsed answer, or a ``SearchUnavailableError``."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Literal, TypeVar

import httpx2
from pydantic import BaseModel, SecretStr, ValidationError

from domain.retry_after import retry_after_s
from search.backend import SearchHit, SearchUnavailableError

Refusal = Literal["unauthorized", "quota"]
ModelT = TypeVar("ModelT", bound=BaseModel)

_ADVICE: dict[Refusal, str] = {
    "unauthorized": "the service refuses the key: check {setting}",
    "quota": "the account behind {setting} has nothing left: add credit or set another key",
}


def refusal_by_status(response: httpx2.Response) -> Refusal | None:
    """Whether a status is a permanent refusal: 401 and 403 refuse the key, 402 asks for money."""
    if response.status_code in {401, 403}:
        return "unauthorized"
    return "quota" if response.status_code == 402 else None


def retry_after_header(response: httpx2.Response) -> float | None:
    """The ``Retry-After`` header in seconds."""
    return retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))


async def fetch_answer(
    call: Awaitable[httpx2.Response],
    model: type[ModelT],
    service: str,
    setting: str,
    *,
    refusal: Callable[[httpx2.Response], Refusal | None] = refusal_by_status,
    retry_after: Callable[[httpx2.Response], float | None] = retry_after_header,
) -> ModelT:
    """Await a request and parse its answer.

    Args:
        setting: the variable to check if the service refuses us.
        refusal: recognises answers that a retry will not change.
        retry_after: seconds that the service asks us to wait.

    Raises:
        SearchUnavailableError: anything but a 200 with an answer of this service. It does not mean that nothing was found.
    """
    try:
        response = await call
    except httpx2.TimeoutException as error:
        raise SearchUnavailableError("timeout") from error
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        raise SearchUnavailableError("bad_address", advice="check the configured address", permanent=True) from error
    except httpx2.TransportError as error:
        raise SearchUnavailableError("unreachable") from error
    except httpx2.DecodingError as error:
        raise SearchUnavailableError("undecodable") from error
    if response.status_code != httpx2.codes.OK:
        if refused := refusal(response):
            raise _refusal_error(refused, setting)
        raise SearchUnavailableError(f"http_{response.status_code}", retry_after_s=retry_after(response))
    answer = parse(model, response)
    if answer is None:
        raise SearchUnavailableError(f"not_{service}_json")
    return answer


def parse(model: type[ModelT], response: httpx2.Response) -> ModelT | None:
    """A body as this model; None if it is something else, such as a proxy's own page."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        return None


def error_code(response: httpx2.Response) -> str:
    """The code in an answer such as ``{"error": {"code": "QUOTA_LIMITED"}}``; empty if there is none."""
    problem = parse(_Problem, response)
    return (problem.error.code or "") if problem else ""


def header_key(key: SecretStr, setting: str) -> str:
    """A key for a header. The HTTP client would repeat an unusable one in its error, and so in logs.

    Raises:
        SearchUnavailableError: it contains spaces or characters that a header cannot hold.
    """
    text = key.get_secret_value().strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise _refusal_error("unauthorized", setting)
    return text


def web_hits(hits: Iterable[SearchHit]) -> list[SearchHit]:
    """The hits that can be opened."""
    return [hit for hit in hits if hit.url.lower().startswith(("http://", "https://"))]


class _Error(BaseModel):
    code: str | None = None


class _Problem(BaseModel):
    error: _Error


def _refusal_error(refusal: Refusal, setting: str) -> SearchUnavailableError:
    advice = _ADVICE[refusal].format(setting=setting)
    return SearchUnavailableError(f"{refusal}_{setting}", advice=advice, permanent=True)
