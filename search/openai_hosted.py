"""OpenAI's web search: a model searches (Responses API, tool ``web_search``), and its sources are the hits.

Each search is a paid model call. It is not charged to a run, because runs share results. Usage is logged as
``hosted_search_used``. ``docs/search.md`` has the prices.
"""

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

import httpx2
import structlog
from pydantic import BaseModel, SecretStr

from search.backend import SearchHit, SearchUnavailableError
from search.http import Refusal, error_code, fetch_answer, header_key, refusal_by_status, web_hits
from settings import SearchBackendName

log = structlog.get_logger()

_SETTING = "OPENAI_API_KEY"
_INSTRUCTIONS = (
    "Search the web once for exactly the words of the input. Then list every page found that fits them, one per line, "
    "each cited. Add no other text."
)
_TRACKING = "utm_source=openai"  # OpenAI adds it to every cited address


class _Source(BaseModel):
    url: str | None = None  # some sources have no address


class _Action(BaseModel):
    sources: list[_Source] | None = None


class _Annotation(BaseModel):
    type: str
    url: str | None = None
    title: str | None = None


class _Content(BaseModel):
    annotations: list[_Annotation] | None = None


class _Item(BaseModel):
    type: str
    status: str | None = None
    action: _Action | None = None
    content: list[_Content] | None = None


class _Usage(BaseModel):
    input_tokens: int
    output_tokens: int


class _Answer(BaseModel):
    status: str
    output: list[_Item]
    usage: _Usage | None = None


@dataclass(frozen=True)
class HostedSearch:
    """Returns the pages that the model cites, then the other pages that it saw.

    Hits have no snippet. The text around a citation is the model's own, so it is not evidence.
    """

    name: ClassVar[SearchBackendName] = "openai"

    client: httpx2.AsyncClient
    base_url: str
    api_key: SecretStr
    model: str
    timeout_s: float
    output_tokens_max: int

    async def search(self, query: str, page: int) -> list[SearchHit]:
        """See ``SearchBackend.search``. Pages after the first are empty, without a call."""
        if page > 1:
            return []
        call = self.client.post(
            f"{self.base_url.rstrip('/')}/responses",
            headers={"Authorization": f"Bearer {header_key(self.api_key, _SETTING)}"},
            json=self._request(query),
            timeout=self.timeout_s,
        )
        answer = await fetch_answer(call, _Answer, self.name, _SETTING, refusal=_refusal)
        searches = [item for item in answer.output if item.type == "web_search_call"]
        log.info(
            "hosted_search_used",
            model=self.model,
            searches=len(searches),
            input_tokens=answer.usage.input_tokens if answer.usage else None,
            output_tokens=answer.usage.output_tokens if answer.usage else None,
        )
        if answer.status not in {"completed", "incomplete"}:
            raise SearchUnavailableError(f"response_{answer.status[:20]}")
        if not any(item.status == "completed" for item in searches):
            raise SearchUnavailableError("not_searched")  # the model answered from memory
        return web_hits(_hits(answer.output))

    def _request(self, query: str) -> dict[str, object]:
        return {
            "model": self.model,
            "instructions": _INSTRUCTIONS,
            "input": query,
            "tools": [
                {
                    "type": "web_search",
                    "search_context_size": "low",  # cheapest; we read the pages ourselves
                    "user_location": {"type": "approximate", "country": "US"},
                }
            ],
            "tool_choice": "required",
            "max_tool_calls": 1,  # each one is charged
            "include": ["web_search_call.action.sources"],
            "max_output_tokens": self.output_tokens_max,
            "store": False,
        }


def _hits(items: list[_Item]) -> list[SearchHit]:
    """Return each address once, cited ones first."""
    titles: dict[str, str] = {}
    for item in items:
        for annotation in (note for content in item.content or () for note in content.annotations or ()):
            if annotation.type == "url_citation" and annotation.url:
                url = _without_tracking(annotation.url)
                titles[url] = titles.get(url) or annotation.title or ""
    for item in items:
        for source in item.action.sources or () if item.action else ():
            if source.url:
                titles.setdefault(_without_tracking(source.url), "")
    return [SearchHit(url=url, title=title) for url, title in titles.items()]


def _without_tracking(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # not a valid URL; fetching it will fail
        return url
    query = "&".join(pair for pair in parts.query.split("&") if pair != _TRACKING)
    return urlunsplit(parts._replace(query=query))


def _refusal(response: httpx2.Response) -> Refusal | None:
    if response.status_code == httpx2.codes.TOO_MANY_REQUESTS:
        return "quota" if error_code(response) == "insufficient_quota" else None
    return refusal_by_status(response)
