"""One HTTP request to a search service. Returns the parsed answer or raises ``SearchUnavailableError``."""

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
    """Classify 401 and 403 (bad key) and 402 (no credit) as permanent refusals."""
    if response.status_code in {401, 403}:
        return "unauthorized"
    return "quota" if response.status_code == 402 else None


def retry_after_header(response: httpx2.Response) -> float | None:
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
    """Await a request and parse the answer.

    Args:
        setting: the setting to check if the service refuses us.
        refusal: detects answers that a retry will not change.

    Raises:
        SearchUnavailableError: any outcome except a 200 in this service's format.
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
    """Parse a body as this model. Return None if it is something else, such as a proxy's error page."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        return None


def error_code(response: httpx2.Response) -> str:
    """Return the code in an answer such as ``{"error": {"code": "QUOTA_LIMITED"}}``, or an empty string."""
    problem = parse(_Problem, response)
    return (problem.error.code or "") if problem else ""


def header_key(key: SecretStr, setting: str) -> str:
    """Return a key that is safe in a header. The HTTP client would repeat an invalid one in its error and in logs.

    Raises:
        SearchUnavailableError: the key contains spaces or characters that a header cannot hold.
    """
    text = key.get_secret_value().strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise _refusal_error("unauthorized", setting)
    return text


def web_hits(hits: Iterable[SearchHit]) -> list[SearchHit]:
    """Drop hits whose address is not http(s)."""
    return [hit for hit in hits if hit.url.lower().startswith(("http://", "https://"))]


class _Error(BaseModel):
    code: str | None = None


class _Problem(BaseModel):
    error: _Error


def _refusal_error(refusal: Refusal, setting: str) -> SearchUnavailableError:
    advice = _ADVICE[refusal].format(setting=setting)
    return SearchUnavailableError(f"{refusal}_{setting}", advice=advice, permanent=True)
