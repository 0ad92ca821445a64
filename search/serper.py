"""Serper (serper.dev), Google's results: ``POST /search``, ten results a page."""

from dataclasses import dataclass
from typing import ClassVar

import httpx2
from pydantic import BaseModel, SecretStr

from search.backend import SearchHit
from search.http import Refusal, fetch_answer, header_key, parse, refusal_by_status, web_hits
from settings import SearchBackendName

_SETTING = "SERPER_API_KEY"


class _Answer(BaseModel):
    organic: list[SearchHit]


class _Problem(BaseModel):
    message: str = ""


@dataclass(frozen=True)
class SerperSearch:
    """Searches from the United States."""

    name: ClassVar[SearchBackendName] = "serper"

    client: httpx2.AsyncClient
    base_url: str
    api_key: SecretStr

    async def search(self, query: str, page: int) -> list[SearchHit]:
        call = self.client.post(
            f"{self.base_url.rstrip('/')}/search",
            headers={"X-API-KEY": header_key(self.api_key, _SETTING)},
            json={"q": query, "page": page, "gl": "us"},
        )
        answer = await fetch_answer(call, _Answer, self.name, _SETTING, refusal=_refusal)
        return web_hits(answer.organic)


def _refusal(response: httpx2.Response) -> Refusal | None:
    if response.status_code == 400:  # {"message": "Not enough credits", "statusCode": 400}
        problem = parse(_Problem, response)
        return "quota" if problem and "credits" in problem.message.lower() else None
    return refusal_by_status(response)
