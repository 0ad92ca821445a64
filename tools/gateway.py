"""The one way to the web: typed results, kept as evidence, cached, and never fetched twice at the same time.

A result is ``ok``, ``empty``, ``blocked`` or ``error``; an HTTP 200 with nothing in it is ``empty`` (LESSONS F60). Results are stored
before anyone reads them, so that what a model was shown can be quoted and found again.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urldefrag, urlsplit, urlunsplit
from uuid import uuid4

import structlog

from settings import Settings
from store import tool_results
from store.database import Database
from store.tool_results import ResultStatus, ToolResult
from tools.page_text import render_page
from tools.search import SearchUnavailableError, SearxngSearch
from tools.web_client import WebClient

log = structlog.get_logger()


class ToolGateway:
    """Search and page fetches for one worker."""

    def __init__(self, database: Database, web: WebClient, search: SearxngSearch | None, settings: Settings) -> None:
        self._database = database
        self._web = web
        self._search = search
        self._settings = settings
        self._in_flight: dict[str, asyncio.Task[ToolResult]] = {}

    async def search_web(self, query: str, page: int = 1) -> ToolResult:
        """One page of search results; ``payload["results"]`` holds url, title and snippet of each.

        Raises:
            SearchUnavailableError: the back end is down or missing. That is no result: "nothing found" must not be
                concluded from it.
        """
        args = {"query": " ".join(query.replace("\x00", " ").split()), "page": max(1, page)}
        return await self._cached("search_web", args, lambda: self._search_now(args))

    async def fetch_page(self, url: str) -> ToolResult:
        """One page; ``text`` is what a reader sees, ``payload`` says where it was finally read."""
        args = {"url": normalised_url(url)}
        return await self._cached("fetch_page", args, lambda: self._fetch_now(args))

    async def page_body(self, result: ToolResult) -> str:
        """The stored body behind an ``ok`` page result."""
        if result.page_hash is None:
            return ""
        async with self._database.transaction() as conn:
            return await tool_results.load_body(conn, result.page_hash)

    async def _cached(
        self, tool: str, args: dict[str, Any], call: Callable[[], Awaitable[tuple[ToolResult, str | None]]]
    ) -> ToolResult:
        key = hashlib.sha256(json.dumps([tool, args], sort_keys=True).encode()).hexdigest()
        task = self._in_flight.get(key)
        if task is None:
            task = asyncio.create_task(self._look_up(tool, key, call))
            self._in_flight[key] = task
            task.add_done_callback(lambda _: self._in_flight.pop(key, None))
        # A cancelled caller must not take the fetch away from others that wait for it.
        return await asyncio.shield(task)

    async def _look_up(
        self, tool: str, key: str, call: Callable[[], Awaitable[tuple[ToolResult, str | None]]]
    ) -> ToolResult:
        async with self._database.transaction() as conn:
            cached = await tool_results.find_fresh(conn, tool, key)
        if cached is not None:
            return cached
        result, body = await call()
        log.info("tool_called", tool=tool, status=result.status, reason=result.reason)
        async with self._database.transaction() as conn:
            await tool_results.save_result(conn, result, key, self._ttl_s(tool, result.status), body)
        return result

    def _ttl_s(self, tool: str, status: ResultStatus) -> float:
        if status != "ok":
            return self._settings.failure_ttl_minutes * 60
        hours = self._settings.search_ttl_hours if tool == "search_web" else self._settings.page_ttl_hours
        return hours * 3600

    async def _search_now(self, args: dict[str, Any]) -> tuple[ToolResult, str | None]:
        if self._search is None:
            raise SearchUnavailableError("no search back end is set (SEARXNG_URL)")
        hits = await self._search.search(args["query"], args["page"])
        if not hits:
            return _result("search_web", args, "empty", "no_results"), None
        results = [{"url": hit.url, "title": hit.title, "snippet": hit.content} for hit in hits]
        text = "\n".join(f"{hit.title}\n{hit.content}\n{hit.url}" for hit in hits)
        return _result("search_web", args, "ok", None, payload={"results": results}, text=text), None

    async def _fetch_now(self, args: dict[str, Any]) -> tuple[ToolResult, str | None]:
        page = await self._web.fetch(args["url"])
        payload: dict[str, Any] = {
            "url": page.url,
            "final_url": page.final_url,
            "http_status": page.http_status,
            "redirects": list(page.redirects),
            "title": "",
        }
        if page.status != "ok":
            return _result("fetch_page", args, page.status, page.reason, payload=payload), None
        rendered = render_page(page.body, page.final_url)
        payload["title"] = rendered.title
        result = _result("fetch_page", args, "ok", None, payload=payload, text=rendered.text)
        return result.model_copy(update={"page_hash": tool_results.content_hash(page.body)}), page.body


def normalised_url(url: str) -> str:
    """A URL in the form it is cached under: no fragment, lower-case scheme and host, no default port, a path."""
    plain = urldefrag(url.strip()).url
    try:
        parts = urlsplit(plain)
        port = parts.port
    except ValueError:
        return plain
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    if port is not None and (parts.scheme, port) not in {("http", 80), ("https", 443)}:
        host = f"{host}:{port}"
    return urlunsplit((parts.scheme.lower(), host, parts.path or "/", parts.query, ""))


def _result(
    tool: str,
    args: dict[str, Any],
    status: ResultStatus,
    reason: str | None,
    *,
    payload: dict[str, Any] | None = None,
    text: str = "",
) -> ToolResult:
    return ToolResult(
        result_id=f"r{uuid4().hex[:16]}",
        tool=tool,
        args=args,
        status=status,
        reason=reason,
        payload=payload or {},
        text=text,
        fetched_at=datetime.now(UTC),
    )
