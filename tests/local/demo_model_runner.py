"""Plays the agent loop for the demo model's tests: sends real request bodies, runs the tools it asks for on a demo
world, checks quotes.

Nothing is stubbed but the network between the parts; the same conversation over real HTTP is in
``test_demo_model_api.py``.
"""

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
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import generate_world
from web.page_text import render_page

ROLES: dict[str, AgentRole] = {
    role.name: role for role in (discovery.ROLE, company_research.ROLE, contact_research.ROLE)
}
FETCH: dict[str, Any] = {
    "type": "function",
    "name": "fetch_page",
    "description": "Read a page.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"url": {"type": "string"}},
        "required": ["url"],
        "additionalProperties": False,
    },
}
SEARCH: dict[str, Any] = {
    "type": "function",
    "name": "search_web",
    "description": "Search the web.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"query": {"type": "string"}, "page": {"type": "integer"}},
        "required": ["query", "page"],
        "additionalProperties": False,
    },
}
TOOLS: dict[str, dict[str, Any]] = {"fetch_page": FETCH, "search_web": SEARCH}


@dataclass
class Played:
    """A finished conversation: the answer, and the text that each tool result may be quoted from."""

    output: dict[str, Any]
    texts: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    turns: int = 0

    def quotes(self, citation: dict[str, str], *values: str) -> bool:
        """Whether the cited words stand in the cited result and hold the values."""
        quote = " ".join(citation["quote"].split())
        text = " ".join(self.texts[citation["result_id"]].split())
        return len(citation["quote"]) <= 300 and quote in text and all(value in quote for value in values)


class WorldTools:
    """The two tools, answered from a world as the contract of the agent loop says."""

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
    """The output schema as the openai client makes it strict."""
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
    """The first input item."""
    return {"role": "user", "content": json.dumps(task)}


def play(task: dict[str, Any], tools: Callable[[str, dict[str, Any]], dict[str, Any]]) -> Played:
    """Run one conversation to its answer, which must parse as the role's output and stay within the role's limits."""
    role = ROLES[task["task"]]
    items: list[dict[str, Any]] = [task_message(task)]
    played = Played(output={})
    for played.turns in range(1, role.turns_max + 1):
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


def run_tool(
    call: dict[str, Any], tools: Callable[[str, dict[str, Any]], dict[str, Any]], played: Played
) -> dict[str, Any]:
    """Run one call and give the input item that carries its result."""
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
    """A research task for a company of the gold table."""
    company = {key: getattr(gold, key) for key in ("name", "website", "domain", "city", "state")}
    return {"task": task, "company": company, "known_pages": [], **more}


@cache
def world_tools(seed: int) -> WorldTools:
    """The tools on the world of a seed."""
    return WorldTools(_world(seed))


@cache
def living(seed: int) -> tuple[GoldCompany, ...]:
    """The companies of a world whose own site can be read."""
    world = _world(seed)
    readable = {c.domain for c in world.companies if c.site_state == "alive" and c.domain}
    return tuple(gold for gold in gold_table(world).companies if gold.domain in readable)


@cache
def _world(seed: int) -> World:
    return generate_world(seed)
