"""Defines the tools offered to the model, and runs its calls."""

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

_TEXT_MAX = 20_000  # characters of a page that the model sees

ClaimPage = Callable[[str], Awaitable[bool]]
"""Whether this conversation may read a page, given its normalised URL. Only one conversation may."""

KnownSites = Callable[[set[str]], Awaitable[set[str]]]
"""Returns those of the given registrable domains that belong to known companies."""


class _SearchWebArgs(BaseModel):
    model_config = ConfigDict(extra="forbid")

    query: str = Field(min_length=1, max_length=300)
    page: int = Field(ge=1, le=5)


class _FetchPageArgs(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=1, max_length=2000)


_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


def _definition(name: str, description: str, properties: dict[str, object]) -> FunctionToolParam:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "name": name, "description": description, "strict": True, "parameters": parameters}


_DEFINITIONS: dict[ToolName, FunctionToolParam] = {
    "search_web": _definition(
        "search_web",
        "Search the web. Returns titles, addresses and snippets of one page of results.",
        {
            "query": {"type": "string"},
            "page": {"type": "integer", "description": "1 for the first page of results."},
        },
    ),
    "fetch_page": _definition(
        "fetch_page",
        "Read a web page as text with its links. Only addresses seen in results or pages can be opened.",
        {"url": {"type": "string"}},
    ),
}


def tool_definitions(names: Iterable[ToolName], mcp_tools: Iterable[McpTool] = ()) -> list[FunctionToolParam]:
    foreign: list[FunctionToolParam] = [
        {
            "type": "function",
            "name": tool.function,
            "description": tool.description,
            "strict": False,  # MCP schemas rarely meet the rules of strict mode
            "parameters": tool.input_schema,
        }
        for tool in mcp_tools
    ]
    return [*(_DEFINITIONS[name] for name in names), *foreign]


class ToolCalls:
    """Runs the tool calls of one conversation and tracks which URLs it may open.

    Attributes:
        results: every result that the model saw, by id.
    """

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
        self._gateway = gateway
        self._names = names
        self._claim_page = claim_page
        self._known_sites = known_sites
        self._mcp_tools = {tool.function: tool for tool in mcp_tools}
        self._calls_left = calls_max
        self._allowed_urls = {normalised_url(url) for url in allowed_urls}
        # A URL without a registrable domain allows only itself.
        self._allowed_sites = {registrable_domain(url) for url in allowed_urls} - {None}
        self.results: dict[str, ToolResult] = {}

    async def call(self, name: str, arguments: str) -> dict[str, Any]:
        """Run one call. An invalid call returns an error for the model instead of raising."""
        mcp_tool = self._mcp_tools.get(name)
        if mcp_tool is None and name not in self._names:
            return _refusal("no_such_tool", f"tools: {', '.join((*self._names, *self._mcp_tools))}")
        if self._calls_left <= 0:
            return _refusal("limit reached", "answer now with what you have")
        self._calls_left -= 1
        try:
            if mcp_tool is not None:
                output = self._call_mcp(mcp_tool, _OBJECT.validate_json(arguments or "{}"))
            elif name == "search_web":
                output = self._search(_SearchWebArgs.model_validate_json(arguments))
            else:
                output = self._fetch(_FetchPageArgs.model_validate_json(arguments).url)
        except ValidationError as error:
            return _refusal("bad_arguments", "; ".join(problem["msg"] for problem in error.errors()))
        return await output

    async def _call_mcp(self, tool: McpTool, args: dict[str, JsonValue]) -> dict[str, Any]:
        try:
            json.dumps(args, allow_nan=False)
        except ValueError:
            return _refusal("bad_arguments", "a number must be finite")
        result = await self._gateway.call_mcp(tool.server, tool.tool, args)
        self._allowed_urls.update(normalised_url(url) for url in addresses_in(result.text))
        return self._output(result, **_text(result))

    async def _search(self, args: _SearchWebArgs) -> dict[str, Any]:
        result = await self._gateway.search_web(args.query, args.page)
        hits = result.payload.get("results", [])
        known: set[str] = set()
        if self._known_sites is not None:
            known = await self._known_sites({site for hit in hits if (site := registrable_domain(hit["url"]))})
        self._allowed_urls.update(normalised_url(hit["url"]) for hit in hits)
        # Known hits are marked, not removed, because the number of hits shows the model whether a next page exists.
        shown = [
            {"url": hit["url"], "title": hit["title"], "already_known": True}
            if registrable_domain(hit["url"]) in known
            else hit
            for hit in hits
        ]
        return self._output(result, results=shown)

    async def _fetch(self, url: str) -> dict[str, Any]:
        if normalised_url(url) not in self._allowed_urls and registrable_domain(url) not in self._allowed_sites:
            return _refusal("address_not_seen", "only addresses from results or pages already read can be opened")
        result = await self._gateway.fetch_page(url)
        # Only readable pages are claimed, so another search may try a page that failed.
        if result.status == "ok" and self._claim_page is not None and not await self._claim_page(normalised_url(url)):
            return _refusal("read_by_another_search", "what it names is known already; go on with other pages")
        self._allowed_urls.update(links_in(result.text))
        if site := registrable_domain(str(result.payload.get("final_url", ""))):
            self._allowed_sites.add(site)
        payload = result.payload
        return self._output(result, url=payload.get("final_url"), title=payload.get("title"), **_text(result))

    def _output(self, result: ToolResult, **content: Any) -> dict[str, Any]:
        self.results[result.result_id] = result
        return {"result_id": result.result_id, "status": result.status, "reason": result.reason, **content}


def links_in(text: str) -> set[str]:
    addresses = (piece.split(")", 1)[0] for piece in text.split("](")[1:])
    return {normalised_url(url) for url in addresses if url.startswith(("http://", "https://"))}


def _text(result: ToolResult) -> dict[str, Any]:
    return {"text": result.text[:_TEXT_MAX], "truncated": len(result.text) > _TEXT_MAX}


def _refusal(reason: str, hint: str) -> dict[str, Any]:
    return {"result_id": None, "status": "error", "reason": f"{reason}: {hint}"}
