"""A SearXNG server of one's own: ``GET /search?format=json``. It takes no key and costs nothing."""

from dataclasses import dataclass
from typing import ClassVar

import httpx2
from pydantic import BaseModel, ConfigDict, JsonValue

from search.backend import SearchHit, SearchUnavailableError
from search.http import body_of, parsed, web_hits
from settings import SearchBackendName


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    results: list[SearchHit]
    unresponsive_engines: list[JsonValue] = []  # names with reasons: CAPTCHA, timeout, too many requests


# One engine is away now and then, and behind the last page there is nothing; with two away, "nothing" is not to be trusted.
_BLOCKED_ENGINES_MIN = 2


@dataclass(frozen=True)
class SearxngSearch:
    """The server must have JSON among its ``search.formats``; without it, it answers 403."""

    name: ClassVar[SearchBackendName] = "searxng"

    client: httpx2.AsyncClient
    base_url: str

    async def search(self, query: str, page: int) -> list[SearchHit]:
        """See ``SearchBackend.search``."""
        params: dict[str, str | int] = {"q": query, "format": "json", "pageno": page}
        call = self.client.get(f"{self.base_url.rstrip('/')}/search", params=params)
        body = await body_of(call, "SEARXNG_URL", refused=lambda response: None)
        answer = parsed(_Answer, body, self.name)
        if not answer.results and len(answer.unresponsive_engines) >= _BLOCKED_ENGINES_MIN and page == 1:
            # A 200 also when every engine blocks the server; which engines did answer, it does not say.
            raise SearchUnavailableError("engines_unresponsive", advice="see the engines of the SearXNG server")
        return web_hits(answer.results)
