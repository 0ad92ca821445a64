"""What all back ends share: one HTTP exchange, from a request to a parsed answer or a ``SearchUnavailableError``."""

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


def by_status(response: httpx2.Response) -> Refusal | None:
    """What a status means for a service that takes a key: 401 and 403 refuse it, 402 asks for money."""
    if response.status_code in {401, 403}:
        return "unauthorized"
    return "quota" if response.status_code == 402 else None


async def body_of(
    call: Awaitable[httpx2.Response],
    setting: str,
    *,
    refused: Callable[[httpx2.Response], Refusal | None] = by_status,
    retry_after: Callable[[httpx2.Response], float | None] | None = None,
) -> bytes:
    """The body of a 200.

    Args:
        setting: the variable to check when the service refuses us.
        refused: which answers waiting does not mend.
        retry_after: where a service says how long to wait, in seconds; the ``Retry-After`` header unless given.

    Raises:
        SearchUnavailableError: anything but a 200 with a readable body.
    """
    try:
        response = await call
    except httpx2.TimeoutException as error:
        raise SearchUnavailableError("timeout") from error
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        raise SearchUnavailableError("bad_address", advice="check the address that is set", permanent=True) from error
    except httpx2.TransportError as error:
        raise SearchUnavailableError("unreachable") from error
    except httpx2.DecodingError as error:
        raise SearchUnavailableError("undecodable") from error
    if response.status_code == httpx2.codes.OK:
        return response.content
    refusal = refused(response)
    if refusal is not None:
        raise refusal_error(refusal, setting)
    header = response.headers.get("retry-after")
    wait_s = retry_after(response) if retry_after else retry_after_s(header, datetime.now(UTC))
    raise SearchUnavailableError(f"http_{response.status_code}", retry_after_s=wait_s)


def refusal_error(refusal: Refusal, setting: str) -> SearchUnavailableError:
    """The error that names the setting to check; it is not retried."""
    advice = _ADVICE[refusal].format(setting=setting)
    return SearchUnavailableError(f"{refusal}_{setting}", advice=advice, permanent=True)


def header_key(key: SecretStr, setting: str) -> str:
    """A key as a header takes it. The HTTP client would repeat an unusable one in its error, and so in logs.

    Raises:
        SearchUnavailableError: it holds spaces or letters that no header takes.
    """
    text = key.get_secret_value().strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise refusal_error("unauthorized", setting)
    return text


def parsed(model: type[ModelT], body: bytes, service: str) -> ModelT:
    """A body as the service's answer.

    Raises:
        SearchUnavailableError: it is something else. That is a back end that is down, not one that has found nothing.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError:
        # Not chained: the error would carry parts of a stranger's page into logs.
        raise SearchUnavailableError(f"not_{service}_json") from None


def web_hits(hits: Iterable[SearchHit]) -> list[SearchHit]:
    """The hits that can be opened."""
    return [hit for hit in hits if hit.url.lower().startswith(("http://", "https://"))]
