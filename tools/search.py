"""Web search through a SearXNG server's JSON API. Other back ends come beside it, behind the same call."""

from dataclasses import dataclass

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator


class SearchHit(BaseModel):
    """One result: address, title and the snippet shown under it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    title: str = ""
    content: str = ""

    @field_validator("url", "title", "content")
    @classmethod
    def _storable(cls, text: str) -> str:
        return text.replace("\x00", "")


class _SearxngAnswer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    results: list[SearchHit]


class SearchUnavailableError(Exception):
    """The search back end did not give an answer; ``reason`` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"web search did not answer: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class SearxngSearch:
    """SearXNG's ``/search?format=json`` (the server must have JSON among its ``search.formats``)."""

    client: httpx2.AsyncClient
    base_url: str

    async def search(self, query: str, page: int) -> list[SearchHit]:
        """Results of one page (1 is the first).

        Raises:
            SearchUnavailableError: no answer, an error status, or an answer that is not SearXNG's.
        """
        try:
            response = await self.client.get(
                f"{self.base_url.rstrip('/')}/search", params={"q": query, "format": "json", "pageno": page}
            )
        except httpx2.TimeoutException as error:
            raise SearchUnavailableError("timeout") from error
        except httpx2.TransportError as error:
            raise SearchUnavailableError("unreachable") from error
        except httpx2.DecodingError as error:
            raise SearchUnavailableError("undecodable") from error
        if response.status_code != httpx2.codes.OK:
            raise SearchUnavailableError(f"http_{response.status_code}")
        try:
            return _SearxngAnswer.model_validate_json(response.content).results
        except ValidationError as error:
            raise SearchUnavailableError("not_searxng_json") from error
