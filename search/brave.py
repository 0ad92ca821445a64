"""Brave Search: ``GET /res/v1/web/search`` with ``X-Subscription-Token``. One request a page of twenty, ten pages.

It tells a bad key with 422 or 404 and a used-up plan with 429, so its error codes count, not the status alone; and it says
how long to wait in ``X-RateLimit-Reset``, a value for each window of the plan, the shortest first.
"""

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal

import httpx2
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from domain.retry_after import retry_after_s
from search.backend import SearchHit
from search.http import Refusal, body_of, by_status, header_key, parsed, web_hits
from settings import SearchBackendName

_SETTING = "BRAVE_API_KEY"
_RESULTS_MAX = 20
_PAGES_MAX = 10  # its offset goes from 0 to 9
_WORDS_MAX = 50  # a longer query is refused; so is one of more than 400 characters, which ours never are
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")


class _Result(BaseModel):
    model_config = ConfigDict(extra="ignore")

    url: str
    title: str | None = None
    description: str | None = None


class _Web(BaseModel):
    model_config = ConfigDict(extra="ignore")

    results: list[_Result]


class _Answer(BaseModel):
    """``web`` is left out where nothing was found; ``type`` then still tells an answer from something else."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["search"]
    web: _Web | None = None


class _Problem(BaseModel):
    model_config = ConfigDict(extra="ignore")

    class Detail(BaseModel):
        model_config = ConfigDict(extra="ignore")

        code: str = ""

    error: Detail


@dataclass(frozen=True)
class BraveSearch:
    """Results for the United States."""

    name: ClassVar[SearchBackendName] = "brave"

    client: httpx2.AsyncClient
    base_url: str
    api_key: SecretStr

    async def search(self, query: str, page: int) -> list[SearchHit]:
        """See ``SearchBackend.search``. Beyond the tenth page there is nothing, without a call."""
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
        body = await body_of(call, _SETTING, refused=_refused, retry_after=_retry_after_s)
        web = parsed(_Answer, body, self.name).web
        return web_hits(
            SearchHit(url=hit.url, title=_plain(hit.title), content=_plain(hit.description))
            for hit in (web.results if web else ())
        )


def _plain(text: str | None) -> str:
    """Text without the tags that mark the words found, and without entities."""
    return html.unescape(_TAG.sub("", text or ""))


def _refused(response: httpx2.Response) -> Refusal | None:
    try:
        code = _Problem.model_validate_json(response.content).error.code
    except ValidationError:  # a proxy's or gateway's own page
        code = ""
    if code.startswith("SUBSCRIPTION_"):
        return "unauthorized"
    return "quota" if code == "QUOTA_LIMITED" else by_status(response)


def _retry_after_s(response: httpx2.Response) -> float | None:
    asked_s = retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
    if asked_s is not None or response.status_code != httpx2.codes.TOO_MANY_REQUESTS:
        return asked_s
    first = response.headers.get("x-ratelimit-reset", "").split(",")[0].strip()
    return float(first) if first.isdecimal() and first.isascii() and first != "0" else None
