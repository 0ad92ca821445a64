"""Your own SearXNG server: ``GET /search?format=json``. Its ``search.formats`` must include JSON; otherwise it answers 403."""

from dataclasses import dataclass
from typing import ClassVar

import httpx2
from pydantic import BaseModel, JsonValue

from search.backend import SearchHit, SearchUnavailableError
from search.http import fetch_answer, web_hits
from settings import SearchBackendName

# One engine is often down. With two down, "nothing found" cannot be trusted.
_BLOCKED_ENGINES_MIN = 2


class _Answer(BaseModel):
    results: list[SearchHit]
    unresponsive_engines: list[JsonValue] = []  # names with reasons: CAPTCHA, timeout, too many requests


@dataclass(frozen=True)
class SearxngSearch:
    """No key, no cost."""

    name: ClassVar[SearchBackendName] = "searxng"

    client: httpx2.AsyncClient
    base_url: str

    async def search(self, query: str, page: int) -> list[SearchHit]:
        """See ``SearchBackend.search``."""
        params: dict[str, str | int] = {"q": query, "format": "json", "pageno": page}
        call = self.client.get(f"{self.base_url.rstrip('/')}/search", params=params)
        answer = await fetch_answer(call, _Answer, self.name, "SEARXNG_URL", refusal=lambda response: None)
        if not answer.results and len(answer.unresponsive_engines) >= _BLOCKED_ENGINES_MIN and page == 1:
            # SearXNG answers 200 even if every engine blocks it, and does not say which engines did answer.
            raise SearchUnavailableError("engines_unresponsive", advice="see the engines of the SearXNG server")
        return web_hits(answer.results)
