"""A SearXNG server of one's own: ``GET /search?format=json``. It takes no key and costs nothing."""

from dataclasses import dataclass
from typing import ClassVar

import httpx2
from pydantic import BaseModel, ConfigDict

from settings import SearchBackendName
from tools.search.backend import SearchHit
from tools.search.service import body_of, parsed, web_hits


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    results: list[SearchHit]


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
        return web_hits(parsed(_Answer, body, self.name).results)
