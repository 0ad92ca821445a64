"""The tools as the model sees them: definitions, and one call from arguments to the JSON that it reads."""

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from openai.types.responses import FunctionToolParam
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from agents.role import ToolName
from domain.company.hosts import registrable_domain
from mcp_client.answers import McpTool, addresses_in
from store.tools.tool_results import ToolResult
from web.gateway import ToolGateway, normalised_url

_TEXT_MAX = 20_000  # characters of a page shown to the model; more is said to be cut


ClaimPage = Callable[[str], Awaitable[bool]]
"""Given an address in the form it is cached under: whether this conversation is the one to read it."""

KnownSites = Callable[[set[str]], Awaitable[set[str]]]
"""Given registrable domains: those whose companies are known already, and which need not be named again."""


class SearchWebArgs(BaseModel):
    """Arguments of ``search_web``."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(min_length=1, max_length=300)
    page: int = Field(ge=1, le=5)


class FetchPageArgs(BaseModel):
    """Arguments of ``fetch_page``."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=1, max_length=2000)


_DEFINITIONS: dict[ToolName, FunctionToolParam] = {
    "search_web": {
        "type": "function",
        "name": "search_web",
        "description": "Search the web. Returns titles, addresses and snippets of one page of results.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string"},
                "page": {"type": "integer", "description": "1 for the first page of results."},
            },
            "required": ["query", "page"],
            "additionalProperties": False,
        },
    },
    "fetch_page": {
        "type": "function",
        "name": "fetch_page",
        "description": "Read a web page as text with its links. Only addresses seen in results or pages can be opened.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"url": {"type": "string"}},
            "required": ["url"],
            "additionalProperties": False,
        },
    },
}


_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


def definitions(names: tuple[ToolName, ...], mcp_tools: Iterable[McpTool] = ()) -> list[FunctionToolParam]:
    """The definitions of the tools that a role may use: ours, and those that MCP servers offer it."""
    return [*(_DEFINITIONS[name] for name in names), *map(_mcp_definition, mcp_tools)]


def _mcp_definition(tool: McpTool) -> FunctionToolParam:
    return {
        "type": "function",
        "name": tool.function,
        "description": tool.description,
        "strict": False,  # a foreign schema rarely keeps the rules of strict ones
        "parameters": tool.input_schema,
    }


class ToolCalls:
    """The tool calls of one conversation: what may be opened, what was shown."""

    def __init__(
        self,
        gateway: ToolGateway,
        names: tuple[ToolName, ...],
        *,
        calls_max: int,
        allowed_urls: set[str],
        mcp_tools: Iterable[McpTool] = (),
        claim_page: ClaimPage | None = None,
        known_sites: KnownSites | None = None,
    ) -> None:
        """
        Args:
            claim_page: whether a page is this conversation's to read; None where it shares its pages with nobody.
            known_sites: which sites are marked as known in what a search finds; None marks none.
        """
        self._gateway = gateway
        self._names = names
        self._claim_page = claim_page
        self._known_sites = known_sites
        self._mcp_tools = {tool.function: tool for tool in mcp_tools}
        self._calls_left = calls_max
        self._seen = {normalised_url(url) for url in allowed_urls}
        # An address without a registrable domain opens itself only, not everything else that has none.
        self._sites = {registrable_domain(url) for url in allowed_urls} - {None}
        self.results: dict[str, ToolResult] = {}

    async def call(self, name: str, arguments: str) -> str:
        """Run one call and return the JSON for the model. A call that makes no sense is answered, not raised."""
        mcp_tool = self._mcp_tools.get(name)
        if mcp_tool is None and name not in self._names:
            return _refusal("no_such_tool", f"tools: {', '.join((*self._names, *self._mcp_tools))}")
        if self._calls_left <= 0:
            return _refusal("limit reached", "answer now with what you have")
        self._calls_left -= 1
        try:
            if mcp_tool is not None:
                return await self._call_mcp(mcp_tool, arguments)
            if name == "search_web":
                search = SearchWebArgs.model_validate_json(arguments)
                return await self._shown_search(await self._gateway.search_web(search.query, search.page))
            url = FetchPageArgs.model_validate_json(arguments).url
        except ValidationError as error:
            return _refusal("bad_arguments", "; ".join(problem["msg"] for problem in error.errors()))
        if not self._may_open(url):
            return _refusal("address_not_seen", "only addresses from results or pages already read can be opened")
        page = await self._gateway.fetch_page(url)
        # Only a page that could be read is anyone's: what failed for one search may be tried by the next.
        if page.status == "ok" and self._claim_page is not None and not await self._claim_page(normalised_url(url)):
            return _refusal("read_by_another_search", "what it names is known already; go on with other pages")
        return self._shown_page(page)

    async def _call_mcp(self, tool: McpTool, arguments: str) -> str:
        args = _OBJECT.validate_json(arguments or "{}")
        try:
            json.dumps(args, allow_nan=False)
        except ValueError:
            return _refusal("bad_arguments", "a number must be finite")
        result = await self._gateway.call_mcp(tool.server, tool.tool, args)
        self.results[result.result_id] = result
        self._seen.update(normalised_url(url) for url in addresses_in(result.text))
        return _json(result, {"text": result.text[:_TEXT_MAX], "truncated": len(result.text) > _TEXT_MAX})

    def _may_open(self, url: str) -> bool:
        return normalised_url(url) in self._seen or registrable_domain(url) in self._sites

    async def _shown_search(self, result: ToolResult) -> str:
        self.results[result.result_id] = result
        hits = result.payload.get("results", [])
        known: set[str] = set()
        if self._known_sites is not None:
            known = await self._known_sites({site for hit in hits if (site := registrable_domain(hit["url"]))})
        self._seen.update(normalised_url(hit["url"]) for hit in hits)
        # Marked and not left out: how many a page holds says whether there is another one.
        shown = [_without_words(hit) if registrable_domain(hit["url"]) in known else hit for hit in hits]
        return _json(result, {"results": shown})

    def _shown_page(self, result: ToolResult) -> str:
        self.results[result.result_id] = result
        self._seen.update(links_in(result.text))
        self._sites.add(registrable_domain(str(result.payload.get("final_url", ""))))
        self._sites.discard(None)
        return _json(
            result,
            {
                "url": result.payload.get("final_url"),
                "title": result.payload.get("title"),
                "text": result.text[:_TEXT_MAX],
                "truncated": len(result.text) > _TEXT_MAX,
            },
        )


def _without_words(hit: dict[str, Any]) -> dict[str, Any]:
    return {"url": hit["url"], "title": hit["title"], "already_known": True}


def links_in(text: str) -> set[str]:
    """The http addresses that a rendered page links to, in the form they are cached under."""
    found: set[str] = set()
    for piece in text.split("](")[1:]:
        url = piece.split(")", 1)[0]
        if url.startswith(("http://", "https://")):
            found.add(normalised_url(url))
    return found


def _json(result: ToolResult, content: dict[str, Any]) -> str:
    head = {"result_id": result.result_id, "status": result.status, "reason": result.reason}
    return json.dumps(head | content, ensure_ascii=False)


def _refusal(reason: str, hint: str) -> str:
    return json.dumps({"result_id": None, "status": "error", "reason": f"{reason}: {hint}"})
