"""Your own SearXNG server: ``GET /search?format=json``. If ``search.formats`` lacks JSON, it answers 403."""

from dataclasses import dataclass
from typing import ClassVar

import httpx2
from pydantic import BaseModel, JsonValue

from search.backend import SearchHit, SearchUnavailableError
from search.http import fetch_answer, web_hits
from settings import SearchBackendName

# One engine is often down. If two are, an empty result is not reliable.
_BLOCKED_ENGINES_MIN = 2


class _Answer(BaseModel):
    results: list[SearchHit]
    unresponsive_engines: list[JsonValue] = []  # names with reasons: CAPTCHA, timeout, too many requests


@dataclass(frozen=True)
class SearxngSearch:
    """Needs no key."""

    name: ClassVar[SearchBackendName] = "searxng"

    client: httpx2.AsyncClient
    base_url: str

    async def search(self, query: str, page: int) -> list[SearchHit]:
        params: dict[str, str | int] = {"q": query, "format": "json", "pageno": page}
        call = self.client.get(f"{self.base_url.rstrip('/')}/search", params=params)
        answer = await fetch_answer(call, _Answer, self.name, "SEARXNG_URL", refusal=lambda response: None)
        if not answer.results and len(answer.unresponsive_engines) >= _BLOCKED_ENGINES_MIN and page == 1:
            # SearXNG answers 200 even if every engine blocks it.
            raise SearchUnavailableError("engines_unresponsive", advice="see the engines of the SearXNG server")
        return web_hits(answer.results)
