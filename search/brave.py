"""Brave Search: ``GET /res/v1/web/search``, 20 results a page, ten pages.

Brave reports a bad key with 422 or 404, and an exhausted plan with 429. So the error code in the body is checked too.
"""

import html
import re
from dataclasses import dataclass
from typing import ClassVar, Literal

import httpx2
from pydantic import BaseModel, SecretStr

from search.backend import SearchHit
from search.http import (
    Refusal,
    error_code,
    fetch_answer,
    header_key,
    refusal_by_status,
    retry_after_header,
    web_hits,
)
from settings import SearchBackendName

_SETTING = "BRAVE_API_KEY"
_RESULTS_MAX = 20
_PAGES_MAX = 10  # offsets 0 to 9
_WORDS_MAX = 50  # Brave refuses longer queries
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")


class _Web(BaseModel):
    results: list[SearchHit]


class _Answer(BaseModel):
    """Brave omits ``web`` if nothing was found."""

    type: Literal["search"]
    web: _Web | None = None


@dataclass(frozen=True)
class BraveSearch:
    """Searches from the United States."""

    name: ClassVar[SearchBackendName] = "brave"

    client: httpx2.AsyncClient
    base_url: str
    api_key: SecretStr

    async def search(self, query: str, page: int) -> list[SearchHit]:
        """See ``SearchBackend.search``. Pages after the tenth are empty, without a call."""
        if page > _PAGES_MAX:
            return []
        params: dict[str, str | int] = {
            "q": " ".join(query.split()[:_WORDS_MAX]),
            "count": _RESULTS_MAX,
            "offset": page - 1,
            "country": "US",
        }
        call = self.client.get(
            f"{self.base_url.rstrip('/')}/res/v1/web/search",
            headers={"X-Subscription-Token": header_key(self.api_key, _SETTING), "Accept": "application/json"},
            params=params,
        )
        answer = await fetch_answer(call, _Answer, self.name, _SETTING, refusal=_refusal, retry_after=_retry_after_s)
        hits = answer.web.results if answer.web else []
        return web_hits(
            hit.model_copy(update={"title": _plain(hit.title), "content": _plain(hit.content)}) for hit in hits
        )


def _plain(text: str) -> str:
    """Remove entities and highlighting tags."""
    return html.unescape(_TAG.sub("", text))


def _refusal(response: httpx2.Response) -> Refusal | None:
    code = error_code(response)
    if code.startswith("SUBSCRIPTION_"):
        return "unauthorized"
    return "quota" if code == "QUOTA_LIMITED" else refusal_by_status(response)


def _retry_after_s(response: httpx2.Response) -> float | None:
    """Read ``Retry-After``, or the first value of ``X-RateLimit-Reset``, which is for the plan's shortest window."""
    seconds = retry_after_header(response)
    if seconds is not None or response.status_code != httpx2.codes.TOO_MANY_REQUESTS:
        return seconds
    first = response.headers.get("x-ratelimit-reset", "").split(",")[0].strip()
    return float(first) if first.isdecimal() and first.isascii() and first != "0" else None
