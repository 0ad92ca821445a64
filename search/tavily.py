"""Tavily: ``POST /search`` with a bearer token. One credit a search at depth ``basic``; it has no pages."""

from dataclasses import dataclass
from typing import ClassVar

import httpx2
from pydantic import BaseModel, ConfigDict, SecretStr

from search.backend import SearchHit
from search.http import Refusal, body_of, by_status, header_key, parsed, web_hits
from settings import SearchBackendName

_SETTING = "TAVILY_API_KEY"
_RESULTS_MAX = 20  # the most that one search gives
# Tavily's own: 432 the limit of the key or plan is reached, 433 that of pay-as-you-go.
_LIMIT_STATUSES = frozenset({432, 433})


class _Result(BaseModel):
    model_config = ConfigDict(extra="ignore")

    url: str
    title: str | None = None
    content: str | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    results: list[_Result]


@dataclass(frozen=True)
class TavilySearch:
    """Snippets are the passages of a page that fit the query."""

    name: ClassVar[SearchBackendName] = "tavily"

    client: httpx2.AsyncClient
    base_url: str
    api_key: SecretStr

    async def search(self, query: str, page: int) -> list[SearchHit]:
        """See ``SearchBackend.search``. All there is comes with the first page; the others are empty without a call."""
        if page > 1:
            return []
        call = self.client.post(
            f"{self.base_url.rstrip('/')}/search",
            headers={"Authorization": f"Bearer {header_key(self.api_key, _SETTING)}"},
            json={"query": query, "max_results": _RESULTS_MAX, "search_depth": "basic"},
        )
        answer = parsed(_Answer, await body_of(call, _SETTING, refused=_refused), self.name)
        return web_hits(
            SearchHit(url=hit.url, title=hit.title or "", content=hit.content or "") for hit in answer.results
        )


def _refused(response: httpx2.Response) -> Refusal | None:
    return "quota" if response.status_code in _LIMIT_STATUSES else by_status(response)
