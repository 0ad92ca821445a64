"""Serper (serper.dev), Google's results: ``POST /search`` with ``X-API-KEY``. One credit a page of ten."""

from dataclasses import dataclass
from typing import ClassVar

import httpx2
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from search.backend import SearchHit
from search.http import Refusal, body_of, by_status, header_key, parsed, web_hits
from settings import SearchBackendName

_SETTING = "SERPER_API_KEY"


class _Organic(BaseModel):
    model_config = ConfigDict(extra="ignore")

    link: str
    title: str | None = None
    snippet: str | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    organic: list[_Organic]


class _Problem(BaseModel):
    model_config = ConfigDict(extra="ignore")

    message: str = ""


@dataclass(frozen=True)
class SerperSearch:
    """Results for the United States."""

    name: ClassVar[SearchBackendName] = "serper"

    client: httpx2.AsyncClient
    base_url: str
    api_key: SecretStr

    async def search(self, query: str, page: int) -> list[SearchHit]:
        """See ``SearchBackend.search``."""
        call = self.client.post(
            f"{self.base_url.rstrip('/')}/search",
            headers={"X-API-KEY": header_key(self.api_key, _SETTING)},
            json={"q": query, "page": page, "gl": "us"},
        )
        answer = parsed(_Answer, await body_of(call, _SETTING, refused=_refused), self.name)
        return web_hits(
            SearchHit(url=hit.link, title=hit.title or "", content=hit.snippet or "") for hit in answer.organic
        )


def _refused(response: httpx2.Response) -> Refusal | None:
    # An account without credit is told so with a 400: {"message": "Not enough credits", "statusCode": 400}.
    if response.status_code == 400:
        try:
            problem = _Problem.model_validate_json(response.content)
        except ValidationError:  # some other 400
            return None
        return "quota" if "credits" in problem.message.lower() else None
    return by_status(response)
