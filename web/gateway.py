"""All access to the web. Results are typed, cached, rate limited, and stored as evidence before anyone reads them."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urlsplit, urlunsplit

from pydantic import JsonValue

from domain.company.hosts import normalized_host, registrable_domain
from domain.storable_text import storable
from mcp_client.answers import TRANSIENT_REASONS, sources
from search.backend import SearchBackend, SearchHit, SearchUnavailableError
from search.choice import SEARCH_SETTINGS
from settings import Settings
from store.database import Database
from store.erasure import forgotten
from store.tools import tool_results
from store.tools.tool_results import ToolResult
from web import page_retry
from web.fetch import FORGOTTEN, FetchedPage, WebClient
from web.page_retry import RETRY_AFTER_MAX_S, is_transient, retry_in_s
from web.page_text import render_page
from web.rate_limit import RATE_LIMIT_TIMEOUT, RateLimit, RateLimitTimeoutError, seconds_per_request, site_name
from web.result_cache import Call, ResultCache, args_hash, new_result

if TYPE_CHECKING:
    from mcp_client.pool import McpPool  # imported at run time only if servers are configured

# The longest wait for a retry within one call.
_RETRY_WITHIN_CALL_MAX_S = 10.0
_PAID_CALLS_S = 5.0  # counted in STOP_MARGIN_S (settings.py)


class ToolGateway:
    """Web search, page fetches and MCP tools of one worker."""

    def __init__(
        self,
        database: Database,
        web: WebClient,
        search: SearchBackend | None,
        settings: Settings,
        mcp: "McpPool | None" = None,
    ) -> None:
        self._database = database
        self._web = web
        self._search = search
        self._settings = settings
        self._mcp = mcp
        self._cache = ResultCache(database)

    async def close(self) -> None:
        """Stop once all activities have ended. Searches and MCP calls may cost money, so they get 5 s to finish."""
        await self._cache.close(_PAID_CALLS_S)

    @property
    def search_backend(self) -> str | None:
        return self._search.name if self._search is not None else None

    async def search_web(self, query: str, page: int = 1) -> ToolResult:
        """Return one page of results. ``payload["results"]`` has the url, title and snippet of each.

        Raises:
            SearchUnavailableError: the back end failed or is missing.
        """
        search = self._search
        if search is None:
            raise SearchUnavailableError("no_search_back_end", advice=f"set {SEARCH_SETTINGS}", permanent=True)
        words = " ".join(query.replace("\x00", " ").split())
        args = {"backend": search.name, "query": words, "page": max(1, page)}
        return await self._cached("search_web", args, lambda: self._search_now(search, args))

    async def fetch_page(self, url: str, *, retry: bool = True) -> ToolResult:
        """Return one page. ``text`` is its visible text.

        Args:
            retry: after a temporary failure, wait and try once more. If False, the caller retries (``page_retry.retry_in_s``).
        """
        args = {"url": normalised_url(url)}
        if await self._is_forgotten(args["url"]):
            return _forgotten_page(args)
        async with self._database.transaction() as conn:
            read = await tool_results.find_page_read_at(conn, args["url"])  # perhaps after a redirect from another URL
        if read is not None:
            return read
        page = await self._cached("fetch_page", args, lambda: self._fetch_now(args))
        pause_s = retry_in_s(page)
        if not retry or pause_s is None or pause_s > _RETRY_WITHIN_CALL_MAX_S:
            return page
        await asyncio.sleep(pause_s)
        return await self._cached("fetch_page", args, lambda: self._fetch_now(args))

    async def call_mcp(self, server: str, tool: str, args: dict[str, JsonValue]) -> ToolResult:
        """Call a tool of an MCP server. The result is stored as tool ``mcp:<server>:<tool>``.

        ``payload["results"]`` has the source addresses of the text, if known. If the server fails, the result is an ``error``.

        Raises:
            LookupError: the server or tool is not configured.
        """
        pool = self._mcp
        if pool is None:
            raise LookupError("no MCP servers are configured (MCP_CONFIG)")
        plain = storable(args)
        return await self._cached(f"mcp:{server}:{tool}", plain, lambda: self._call_mcp_now(pool, server, tool, plain))

    async def page_body(self, result: ToolResult) -> str:
        if result.page_hash is None:
            return ""
        async with self._database.transaction() as conn:
            return await tool_results.load_body(conn, result.page_hash)

    async def _cached(self, tool: str, args: dict[str, Any], call: Call) -> ToolResult:
        return await self._cache.get(tool, args, call, self._ttl_s)

    def _ttl_s(self, result: ToolResult) -> float:
        is_mcp = result.tool.startswith("mcp:")
        if result.reason == RATE_LIMIT_TIMEOUT or (is_mcp and result.reason in TRANSIENT_REASONS):
            return 0.0  # the request itself was not answered
        pause_s = retry_in_s(result)
        if pause_s is not None:
            return page_retry.failure_ttl_s(pause_s)
        if result.status == "ok" and is_mcp:
            return self._settings.mcp_ttl_hours * 3600
        if result.status != "ok":
            return self._settings.failure_ttl_minutes * 60
        hours = self._settings.search_ttl_hours if result.tool == "search_web" else self._settings.page_ttl_hours
        return hours * 3600

    def _rate_limit(self, name: str, per_minute: float) -> RateLimit:
        interval_s = seconds_per_request(per_minute)
        return RateLimit(self._database, name, interval_s, self._settings.rate_limit_wait_max_s)

    async def _search_now(self, search: SearchBackend, args: dict[str, Any]) -> tuple[ToolResult, str | None]:
        rate_limit = self._rate_limit(f"search:{search.name}", self._settings.search_requests_per_minute)
        try:
            await rate_limit.acquire()
        except RateLimitTimeoutError as error:
            raise SearchUnavailableError(
                RATE_LIMIT_TIMEOUT,
                retry_after_s=error.seconds_until_free,
                advice="others are queueing: SEARCH_REQUESTS_PER_MINUTE",
            ) from error
        self._cache.mark_paid()
        try:
            hits = await search.search(args["query"], args["page"])
        except SearchUnavailableError as error:
            if error.next_retry_delay is not None:
                await rate_limit.pause(error.next_retry_delay.total_seconds())
            raise
        hits = await self._without_forgotten(hits)
        if not hits:
            return new_result("search_web", args, "empty", "no_results"), None
        results = [{"url": hit.url, "title": hit.title, "snippet": hit.content} for hit in hits]
        text = "\n".join(f"{hit.title}\n{hit.content}\n{hit.url}" for hit in hits)
        return new_result("search_web", args, "ok", payload={"results": results}, text=text), None

    async def _call_mcp_now(
        self, pool: "McpPool", server: str, tool: str, args: dict[str, Any]
    ) -> tuple[ToolResult, str | None]:
        name = f"mcp:{server}:{tool}"
        rate_limit = self._rate_limit(f"mcp:{server}", pool.requests_per_minute(server))
        try:
            await rate_limit.acquire()
        except RateLimitTimeoutError:
            return new_result(name, args, "error", RATE_LIMIT_TIMEOUT), None
        self._cache.mark_paid()
        answer = await pool.call(server, tool, args)
        if answer.retry_after_s is not None:
            await rate_limit.pause(answer.retry_after_s)
        payload = {"results": sources(answer.text, args)} if answer.status == "ok" else {}
        return new_result(name, args, answer.status, answer.reason, payload=payload, text=answer.text), None

    async def _fetch_now(self, args: dict[str, Any]) -> tuple[ToolResult, str | None]:
        async with self._database.transaction() as conn:
            earlier = await tool_results.find_changeable_page(conn, "fetch_page", args_hash("fetch_page", args))
        page = await self._web.fetch(args["url"], cached=earlier)
        # Store nothing about a forgotten company, not even the URL. It may have been forgotten during the fetch.
        if page.reason == FORGOTTEN or (page.final_url != page.url and await self._is_forgotten(page.final_url)):
            return _forgotten_page(args), None
        payload: dict[str, Any] = {
            "url": page.url,
            "final_url": page.final_url,
            "http_status": page.http_status,
            "redirects": list(page.redirects),
            "headers": page.headers,
            "title": "",
        }
        if page.reason is not None and is_transient(page.reason):
            payload |= await self._failure_payload(args, page, page.reason)
        if page.status != "ok":
            return new_result("fetch_page", args, page.status, page.reason, payload=payload), None
        body = page.body
        if page.not_modified and earlier is not None:
            body = await self.page_body(earlier)
            payload["headers"] = earlier.payload["headers"] | page.headers  # a 304 repeats only some headers
        rendered = render_page(body, page.final_url)
        payload["title"] = rendered.title
        result = new_result("fetch_page", args, "ok", payload=payload, text=rendered.text)
        return result.model_copy(update={"page_hash": tool_results.content_hash(body)}), body

    async def _failure_payload(self, args: dict[str, Any], page: FetchedPage, reason: str) -> dict[str, JsonValue]:
        """Return what to store with a temporary failure. Pause requests to the site if it asks."""
        if page.retry_after_s is not None:
            await self._rate_limit(site_name(page.final_url), 0).pause(min(page.retry_after_s, RETRY_AFTER_MAX_S))
        within_s = self._settings.failure_ttl_minutes * 60
        async with self._database.transaction() as conn:
            last = await tool_results.find_last(conn, "fetch_page", args_hash("fetch_page", args), within_s)
        return page_retry.failure_payload(reason, page_retry.failed_attempts(last), page.retry_after_s)

    async def _is_forgotten(self, url: str) -> bool:
        async with self._database.transaction() as conn:
            return await forgotten.is_site_forgotten(conn, url)

    async def _without_forgotten(self, hits: Sequence[SearchHit]) -> list[SearchHit]:
        """Drop hits on sites of forgotten companies. Such hits are never stored or shown to a model."""
        sites = {
            hit.url: {name for name in (registrable_domain(hit.url), normalized_host(hit.url)) if name} for hit in hits
        }
        async with self._database.transaction() as conn:
            gone = await forgotten.forgotten_domains(conn, set().union(*sites.values()))
        return [hit for hit in hits if not sites[hit.url] & gone]


def normalised_url(url: str) -> str:
    """Return the URL that a page is cached under."""
    plain = url.strip()
    try:
        plain = urldefrag(plain).url
        parts = urlsplit(plain)
        port = parts.port
    except ValueError:  # not a valid URL; fetching it will fail
        return plain
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    if port is not None and (parts.scheme, port) not in {("http", 80), ("https", 443)}:
        host = f"{host}:{port}"
    return urlunsplit((parts.scheme.lower(), host, parts.path or "/", parts.query, ""))


def may_succeed_later(result: ToolResult) -> bool:
    """Whether a result is a temporary failure."""
    reason = result.reason
    return retry_in_s(result) is not None or reason == RATE_LIMIT_TIMEOUT or reason in TRANSIENT_REASONS


def _forgotten_page(args: dict[str, Any]) -> ToolResult:
    payload = {"url": args["url"], "final_url": args["url"]}
    return new_result("fetch_page", args, "blocked", FORGOTTEN, payload=payload)
