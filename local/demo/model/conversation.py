"""Reads from a request: the task, the tool calls so far, and their results.

A tool result in another format than the agent loop's is a malformed request. The role modules decide what pages say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from local.demo.model.responses_api import ApiError, JsonObject, ToolCall
from local.demo.model.text import same_address


@dataclass(frozen=True)
class SearchHit:
    """One search result. ``already_known`` is what the tool says."""

    url: str
    title: str
    snippet: str
    already_known: bool = False


@dataclass(frozen=True)
class SearchResult:
    """The hits of one search. Citations use ``result_id``."""

    result_id: str
    query: str
    page: int
    hits: tuple[SearchHit, ...]


@dataclass(frozen=True)
class PageResult:
    """One page that was read. ``asked_url`` was requested; ``url`` is the final address. Quotes come from ``text``."""

    result_id: str
    asked_url: str
    url: str
    title: str
    text: str


@dataclass(frozen=True)
class Conversation:
    """Everything the model knows.

    Attributes:
        tools: the tools that may be called now.
        turns: model turns with tool calls so far.
        searches: the searches that found something.
        limit_reached: a tool reported a limit, so the model must answer.
    """

    task: JsonObject
    tools: frozenset[str]
    turns: int
    calls: tuple[ToolCall, ...]
    searches: tuple[SearchResult, ...]
    pages: tuple[PageResult, ...]
    limit_reached: bool

    @property
    def task_name(self) -> str:
        return str(self.task.get("task"))

    @cached_property
    def _asked(self) -> frozenset[str]:
        asked = {same_address(str(call.arguments.get("url", ""))) for call in self.calls if call.name == "fetch_page"}
        return frozenset(asked | {same_address(page.url) for page in self.pages})

    def unread(self, urls: Iterable[str]) -> list[str]:
        """Return the addresses that were not requested yet, each once, in order."""
        seen = set(self._asked)
        fresh: list[str] = []
        for url in urls:
            key = same_address(url)
            if key not in seen:
                seen.add(key)
                fresh.append(url)
        return fresh

    def searched(self, query: str, page: int) -> bool:
        return any(
            call.name == "search_web" and call.arguments.get("query") == query and call.arguments.get("page") == page
            for call in self.calls
        )

    def may(self, tool: str, *, turns_max: int, calls_max: int) -> bool:
        """Whether the tool may be called within the request's and these own limits."""
        return tool in self.tools and not self.limit_reached and self.turns < turns_max and len(self.calls) < calls_max


def read_conversation(items: Sequence[JsonObject], *, tools: frozenset[str]) -> Conversation:
    """Read the input items of a request. ``responses_api`` has checked that calls and outputs match.

    Raises:
        ApiError: 400 if the first message is not a task, or arguments or outputs are in an unknown format.
    """
    task = _task(items)
    calls: dict[str, ToolCall] = {}
    searches: list[SearchResult] = []
    pages: list[PageResult] = []
    limit_reached = False
    turns = 0
    previous = ""
    for position, item in enumerate(items):
        param = f"input[{position}]"
        if item["type"] == "function_call":
            turns += previous != "function_call"
            calls[item["call_id"]] = ToolCall(item["name"], _object(item["arguments"], f"{param}.arguments"))
        elif item["type"] == "function_call_output":
            output = _object(item["output"], f"{param}.output")
            limit_reached = limit_reached or _says_limit(output)
            if output.get("status") == "ok":
                call = calls[item["call_id"]]
                if call.name == "search_web":
                    searches.append(_search(call, output, param))
                elif call.name == "fetch_page":
                    pages.append(_page(call, output, param))
        previous = item["type"] if item["type"] != "reasoning" else previous
    return Conversation(
        task=task,
        tools=tools,
        turns=turns,
        calls=tuple(calls.values()),
        searches=tuple(searches),
        pages=_once(pages),
        limit_reached=limit_reached,
    )


def _task(items: Sequence[JsonObject]) -> JsonObject:
    for position, item in enumerate(items):
        if item["type"] == "message" and item["role"] == "user":
            task = _object(item["content"], f"input[{position}].content")
            if not isinstance(task.get("task"), str):
                raise ApiError("The first user message names no task.", param=f"input[{position}].content")
            return task
    raise ApiError("The input holds no user message.", param="input")


def _object(value: object, param: str) -> JsonObject:
    text = value
    if isinstance(value, list):  # content parts, OpenAI's long form
        text = "".join(str(part.get("text", "")) for part in value if isinstance(part, dict))
    try:
        parsed = json.loads(str(text))
    except ValueError as error:
        raise ApiError(f"'{param}' is not the JSON this model expects.", param=param) from error
    if not isinstance(parsed, dict):
        raise ApiError(f"'{param}' must hold a JSON object.", param=param)
    return parsed


def _says_limit(output: JsonObject) -> bool:
    return output.get("status") == "error" and "limit" in str(output.get("reason") or "").lower()


def _search(call: ToolCall, output: JsonObject, param: str) -> SearchResult:
    hits = output.get("results")
    if not isinstance(hits, list) or not all(isinstance(hit, dict) for hit in hits):
        raise ApiError("A search result holds no list of results.", param=f"{param}.output")
    page = call.arguments.get("page")
    return SearchResult(
        result_id=_text(output, "result_id", param),
        query=str(call.arguments.get("query", "")),
        page=page if isinstance(page, int) else 1,
        hits=tuple(
            SearchHit(
                str(hit.get("url") or ""),
                str(hit.get("title") or ""),
                str(hit.get("snippet") or ""),
                already_known=hit.get("already_known") is True,
            )
            for hit in hits
        ),
    )


def _page(call: ToolCall, output: JsonObject, param: str) -> PageResult:
    asked = str(call.arguments.get("url") or "")
    return PageResult(
        result_id=_text(output, "result_id", param),
        asked_url=asked,
        url=str(output.get("url") or asked),
        title=str(output.get("title") or ""),
        text=_unfenced(_text(output, "text", param), _text(output, "result_id", param)),
    )


def _text(output: JsonObject, key: str, param: str) -> str:
    value: Any = output.get(key)
    if not isinstance(value, str):
        raise ApiError(f"A tool result holds no '{key}'.", param=f"{param}.output")
    return value


def _unfenced(text: str, result_id: str) -> str:
    """Remove the marks around untrusted text."""
    return text.removeprefix(f"<untrusted-{result_id}>\n").removesuffix(f"\n</untrusted-{result_id}>")


def _once(pages: Iterable[PageResult]) -> tuple[PageResult, ...]:
    """Drop repeated pages. Two addresses may lead to the same one."""
    unique: dict[str, PageResult] = {}
    for page in pages:
        unique.setdefault(same_address(page.url), page)
    return tuple(unique.values())
