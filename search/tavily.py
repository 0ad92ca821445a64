"""Tavily: ``POST /search`` at depth ``basic``. It has no second page."""

from dataclasses import dataclass
from typing import ClassVar

import httpx2
from pydantic import BaseModel, SecretStr

from search.backend import SearchHit
from search.http import Refusal, fetch_answer, header_key, refusal_by_status, web_hits
from settings import SearchBackendName

_SETTING = "TAVILY_API_KEY"
_RESULTS_MAX = 20  # Tavily's maximum
_LIMIT_STATUSES = frozenset({432, 433})  # Tavily's own codes: the limit of the key or plan, and of pay-as-you-go


class _Answer(BaseModel):
    results: list[SearchHit]


@dataclass(frozen=True)
class TavilySearch:
    """Snippets are the passages that match the query."""

    name: ClassVar[SearchBackendName] = "tavily"

    client: httpx2.AsyncClient
    base_url: str
    api_key: SecretStr

    async def search(self, query: str, page: int) -> list[SearchHit]:
        """See ``SearchBackend.search``. Pages after the first are empty, without a call."""
        if page > 1:
            return []
        call = self.client.post(
            f"{self.base_url.rstrip('/')}/search",
            headers={"Authorization": f"Bearer {header_key(self.api_key, _SETTING)}"},
            json={"query": query, "max_results": _RESULTS_MAX, "search_depth": "basic"},
        )
        answer = await fetch_answer(call, _Answer, self.name, _SETTING, refusal=_refusal)
        return web_hits(answer.results)


def _refusal(response: httpx2.Response) -> Refusal | None:
    return "quota" if response.status_code in _LIMIT_STATUSES else refusal_by_status(response)
