"""Plays the agent loop against the demo model: real request bodies, and tools on a demo world. Only the network is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel

from agents.role import AgentRole
from agents.roles import company_research, contact_research, discovery
from local.demo.entities import World
from local.demo.index import SearchIndex
from local.demo.model.app import answer
from local.demo.truth import GoldCompany
from tests.local.demo_helpers import gold_of, world_of
from web.page_text import render_page

ROLES: dict[str, AgentRole] = {
    role.name: role for role in (discovery.ROLE, company_research.ROLE, contact_research.ROLE)
}


def _tool(name: str, **properties: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {key: {"type": kind} for key, kind in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "name": name, "description": name, "strict": True, "parameters": parameters}


FETCH = _tool("fetch_page", url="string")
TOOLS = {"fetch_page": FETCH, "search_web": _tool("search_web", query="string", page="integer")}
Tools = Callable[[str, dict[str, Any]], dict[str, Any]]


@dataclass
class Played:
    """A finished conversation: the answer, and the text of each tool result and page."""

    output: dict[str, Any]
    texts: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def quotes(self, citation: dict[str, str], *values: str) -> bool:
        """Whether the cited words stand in the cited result and hold the values."""
        quote = " ".join(citation["quote"].split())
        text = " ".join(self.texts[citation["result_id"]].split())
        return len(citation["quote"]) <= 300 and quote in text and all(value in quote for value in values)


class WorldTools:
    """The two tools on a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._index = SearchIndex(world)

    def __call__(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if name == "search_web":
            return self._search(arguments["query"], arguments["page"])
        return self._fetch(arguments["url"])

    def _search(self, query: str, page: int) -> dict[str, Any]:
        _, hits = self._index.search(query, offset=(page - 1) * 10, limit=10)
        results = [{"url": hit.url, "title": hit.title, "snippet": hit.content} for hit in hits]
        return {"status": "ok" if results else "empty", "reason": None, "results": results}

    def _fetch(self, url: str) -> dict[str, Any]:
        parts = urlsplit(url)
        site = self._world.sites.get(parts.netloc.removeprefix("www."))
        if site is not None and site.redirect_to is not None:
            url = f"http://{site.redirect_to}{parts.path}"
            site = self._world.sites[site.redirect_to]
        where = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        page = site.pages.get(where) if site is not None else None
        if page is None:
            return {"status": "error", "reason": "HTTP 404", "url": url, "title": "", "text": "", "truncated": False}
        shown = render_page(page.html, url)
        text = {"title": shown.title, "text": shown.text, "truncated": False}
        return {"status": "ok", "reason": None, "url": url, **text}


@cache
def strict_schema(output: type[BaseModel]) -> dict[str, Any]:
    return to_strict_json_schema(output)


def request_body(role_name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """One request as the agent loop sends it."""
    role = ROLES[role_name]
    schema = {"type": "json_schema", "name": role.name, "schema": strict_schema(role.output), "strict": True}
    return {
        "model": "demo-scripted-1",
        "instructions": role.instructions,
        "input": items,
        "tools": [TOOLS[name] for name in role.tools],
        "text": {"format": schema},
        "parallel_tool_calls": True,
        "store": False,
    }


def task_message(task: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": json.dumps(task)}


def play(task: dict[str, Any], tools: Tools) -> Played:
    """Run one conversation. The answer must match the role's output, within the role's limits."""
    role = ROLES[task["task"]]
    items: list[dict[str, Any]] = [task_message(task)]
    played = Played(output={})
    for _ in range(role.turns_max):
        response = answer(json.dumps(request_body(role.name, items)).encode())
        items.extend(response["output"])
        calls = [item for item in response["output"] if item["type"] == "function_call"]
        if not calls:
            played.output = json.loads(response["output"][0]["content"][0]["text"])
            role.output.model_validate(played.output)
            assert len(played.calls) <= role.tool_calls_max
            return played
        for call in calls:
            items.append(run_tool(call, tools, played))
    raise AssertionError(f"no answer after {role.turns_max} turns")


def run_tool(call: dict[str, Any], tools: Tools, played: Played) -> dict[str, Any]:
    """Run one call. Returns the input item with its result."""
    arguments = json.loads(call["arguments"])
    assert (call["name"], arguments) not in played.calls, "the same call twice"
    played.calls.append((call["name"], arguments))
    result_id = f"r{len(played.calls)}"
    result = {"result_id": result_id, **tools(call["name"], arguments)}
    hits = result.get("results") or []
    played.texts[result_id] = result.get("text") or "\n".join(
        f"{hit['title']}\n{hit['snippet']}\n{hit['url']}" for hit in hits
    )
    if result.get("text"):
        played.pages[result["url"]] = result["text"]
    return {"type": "function_call_output", "call_id": call["call_id"], "output": json.dumps(result)}


def company_task(task: str, gold: GoldCompany, **more: Any) -> dict[str, Any]:
    company = {key: getattr(gold, key) for key in ("name", "website", "domain", "city", "state")}
    return {"task": task, "company": company, "known_pages": [], **more}


@cache
def world_tools(seed: int) -> WorldTools:
    return WorldTools(world_of(seed))


@cache
def living(seed: int) -> tuple[GoldCompany, ...]:
    """The companies of a world whose own site works."""
    alive = {company.domain for company in world_of(seed).companies if company.site_state == "alive"}
    return tuple(gold for gold in gold_of(seed).companies if gold.domain and gold.domain in alive)
