"""The one way to the web: typed results, kept as evidence, cached, and never fetched twice at the same time.

A result is ``ok``, ``empty``, ``blocked`` or ``error``; an HTTP 200 with nothing in it is ``empty`` (LESSONS F60). Results are stored
before anyone reads them, so that what a model was shown can be quoted and found again.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urldefrag, urlsplit, urlunsplit
from uuid import uuid4

from pydantic import JsonValue

from domain.company.hosts import normalized_host, registrable_domain
from domain.storable_text import storable
from mcp_client.answers import TRANSIENT_REASONS, McpAnswer, sources
from search import SEARCH_SETTINGS, SearchBackend, SearchHit, SearchUnavailableError
from settings import Settings
from store.database import Database
from store.erasure import forgotten
from store.tools import tool_results
from store.tools.tool_results import ResultStatus, ToolResult
from web.deduplication import Deduplicator
from web.fetch import FORGOTTEN, CachedPage, FetchedPage, WebClient
from web.page_retry import RETRY_AFTER_MAX_S, attempts, failure_payload, is_transient, kept_s, retry_in_s
from web.page_text import render_page
from web.rate_limit import RateLimitTimeoutError, ServiceRateLimit
from web.result_cache import Call, ResultCache, args_hash

RATE_LIMIT_TIMEOUT = "rate_limit_timeout"
"""The reason of a result for which others were queueing too long; nothing was asked."""
_PAUSE_WITHIN_CALL_MAX_S = (
    10.0  # a longer one that a site asks for is not waited for by those who can go on without the page
)

# A share of the time that a worker has between ``WORKER_DRAIN_S`` and being killed: ``STOP_MARGIN_S`` in settings.py.
_LAST_CALLS_S = 5.0


class McpCaller(Protocol):
    """What the gateway needs of the MCP servers' pool, which is imported only where servers are configured."""

    def requests_per_minute(self, server: str) -> float:
        """How often a server may be asked, by all workers together; 0: without limit."""

    async def call(self, server: str, tool: str, args: dict[str, JsonValue]) -> McpAnswer:
        """Call a tool; a server's failure is an answer."""


class ToolGateway:
    """Search and page fetches for one worker."""

    def __init__(
        self,
        database: Database,
        web: WebClient,
        search: SearchBackend | None,
        settings: Settings,
        mcp: McpCaller | None = None,
    ) -> None:
        self._database = database
        self._web = web
        self._search = search
        self._settings = settings
        self._mcp = mcp
        self._calls = ResultCache(database)
        self._in_flight: Deduplicator[ToolResult] = Deduplicator()

    async def close(self) -> None:
        """Before what the calls need is closed, and after all steps have ended: searches and tools of others that still answer to
        a cancelled step are let come to their end for a short time, for they may have cost money; pages are left to others."""
        await self._in_flight.close(_LAST_CALLS_S)

    @property
    def search_backend(self) -> str | None:
        """The name of the web search that is set, if one is."""
        return self._search.name if self._search is not None else None

    async def search_web(self, query: str, page: int = 1) -> ToolResult:
        """One page of search results; ``payload["results"]`` holds url, title and snippet of each.

        Raises:
            SearchUnavailableError: the back end is down or missing. That is no result: "nothing found" must not be
                concluded from it.
        """
        if self._search is None:
            raise SearchUnavailableError("no_search_back_end", advice=f"set {SEARCH_SETTINGS}", permanent=True)
        # With the back end's name: what one has found is not another's answer.
        search = self._search
        words = " ".join(query.replace("\x00", " ").split())
        args = {"backend": search.name, "query": words, "page": max(1, page)}
        return await self._cached("search_web", args, lambda: self._search_now(search, args))

    async def fetch_page(self, url: str, *, once: bool = False) -> ToolResult:
        """One page; ``text`` is what a reader sees, ``payload`` says where it was finally read.

        A failure that may pass is kept for seconds only (``transient.py``), and the page asked for once more after a pause.

        Args:
            once: it is not; the caller asks again later (``transient.retry_in_s``).
        """
        args = {"url": normalised_url(url)}
        if await self._is_forgotten(args["url"]):
            return _not_opened(args)
        async with self._database.transaction() as conn:
            read = await tool_results.find_page_read_at(conn, args["url"])  # to which another address has led
        if read is not None:
            return read
        page = await self._cached("fetch_page", args, lambda: self._fetch_now(args))
        pause_s = retry_in_s(page)
        if once or pause_s is None or pause_s > _PAUSE_WITHIN_CALL_MAX_S:
            return page
        await asyncio.sleep(pause_s)
        return await self._cached("fetch_page", args, lambda: self._fetch_now(args))

    async def call_mcp(self, server: str, tool: str, args: dict[str, JsonValue]) -> ToolResult:
        """A call of an MCP server's tool, stored as tool ``mcp:<server>:<tool>``; ``payload["results"]`` holds the addresses that
        its words belong to, where that is plain. A server that is away or hangs is an ``error``, not an exception.

        Raises:
            LookupError: no such server or tool is configured.
        """
        if self._mcp is None:
            raise LookupError("no MCP servers are configured (MCP_CONFIG)")
        pool, plain = self._mcp, storable(args)
        return await self._cached(f"mcp:{server}:{tool}", plain, lambda: self._call_mcp_now(pool, server, tool, plain))

    async def page_body(self, result: ToolResult) -> str:
        """The stored body behind an ``ok`` page result."""
        if result.page_hash is None:
            return ""
        async with self._database.transaction() as conn:
            return await tool_results.load_body(conn, result.page_hash)

    async def _is_forgotten(self, url: str) -> bool:
        """Whether a site is that of a company which is forgotten: nothing of it is read, and so nothing stored."""
        async with self._database.transaction() as conn:
            return await forgotten.is_site_forgotten(conn, url)

    async def _without_forgotten(self, hits: Sequence[SearchHit]) -> list[SearchHit]:
        """The hits that are not on a site of a company that is forgotten: those are neither stored nor shown to a model."""
        sites = {
            hit.url: {name for name in (registrable_domain(hit.url), normalized_host(hit.url)) if name} for hit in hits
        }
        async with self._database.transaction() as conn:
            gone = await forgotten.domains_among(conn, set().union(*sites.values()))
        return [hit for hit in hits if not sites[hit.url] & gone]

    async def _cached(self, tool: str, args: dict[str, Any], call: Call) -> ToolResult:
        key = f"{tool} {args_hash(tool, args)}"
        return await self._in_flight.run(key, lambda: self._calls.result(tool, args, call, self._ttl_s))

    def _ttl_s(self, result: ToolResult) -> float:
        if result.reason == RATE_LIMIT_TIMEOUT:
            return 0.0  # says nothing about the page or question: others were queueing
        if result.tool.startswith("mcp:"):
            if result.reason in TRANSIENT_REASONS:
                return 0.0  # says nothing about the question: the server was away (LESSONS F61)
            if result.status == "ok":
                return self._settings.mcp_ttl_hours * 3600
        pause_s = retry_in_s(result)
        if pause_s is not None:
            return kept_s(pause_s)  # says nothing about the page yet (LESSONS F65)
        if result.status != "ok":
            return self._settings.failure_ttl_minutes * 60
        hours = self._settings.search_ttl_hours if result.tool == "search_web" else self._settings.page_ttl_hours
        return hours * 3600

    def _pace(self, name: str, per_minute: float) -> ServiceRateLimit:
        return ServiceRateLimit(self._database, name, per_minute, self._settings.rate_limit_wait_max_s)

    async def _search_now(self, search: SearchBackend, args: dict[str, Any]) -> tuple[ToolResult, str | None]:
        pace = self._pace(f"search:{search.name}", self._settings.search_requests_per_minute)
        try:
            await pace.acquire()
        except RateLimitTimeoutError as error:
            raise SearchUnavailableError(
                RATE_LIMIT_TIMEOUT,
                retry_after_s=error.seconds_until_free,
                advice="others are queueing: SEARCH_REQUESTS_PER_MINUTE",
            ) from error
        self._in_flight.mark_paid()
        try:
            hits = await search.search(args["query"], args["page"])
        except SearchUnavailableError as error:
            if error.next_retry_delay is not None:
                await pace.pause(error.next_retry_delay.total_seconds())
            raise
        hits = await self._without_forgotten(hits)
        if not hits:
            return _result("search_web", args, "empty", "no_results"), None
        results = [{"url": hit.url, "title": hit.title, "snippet": hit.content} for hit in hits]
        text = "\n".join(f"{hit.title}\n{hit.content}\n{hit.url}" for hit in hits)
        return _result("search_web", args, "ok", None, payload={"results": results}, text=text), None

    async def _call_mcp_now(
        self, pool: McpCaller, server: str, tool: str, args: dict[str, Any]
    ) -> tuple[ToolResult, str | None]:
        name = f"mcp:{server}:{tool}"
        pace = self._pace(f"mcp:{server}", pool.requests_per_minute(server))
        try:
            await pace.acquire()
        except RateLimitTimeoutError:
            return _result(name, args, "error", RATE_LIMIT_TIMEOUT), None
        self._in_flight.mark_paid()
        answer = await pool.call(server, tool, args)
        if answer.retry_after_s is not None:
            await pace.pause(answer.retry_after_s)
        payload = {"results": sources(answer.text, args)} if answer.status == "ok" else {}
        return _result(name, args, answer.status, answer.reason, payload=payload, text=answer.text), None

    async def _fetch_now(self, args: dict[str, Any]) -> tuple[ToolResult, str | None]:
        async with self._database.transaction() as conn:
            earlier = await tool_results.find_changeable_page(conn, "fetch_page", args_hash("fetch_page", args))
        url = args["url"]
        page = await (self._web.refetch(url, _known(earlier)) if earlier else self._web.fetch(url))
        # Of what lies there nothing is kept, not even the address; nor of a company that was forgotten while it was read.
        if page.reason == FORGOTTEN or (page.final_url != url and await self._is_forgotten(page.final_url)):
            return _not_opened(args), None
        payload: dict[str, Any] = {
            "url": page.url,
            "final_url": page.final_url,
            "http_status": page.http_status,
            "redirects": list(page.redirects),
            "headers": page.headers,
            "title": "",
        }
        if page.reason is not None and is_transient(page.reason):
            payload |= await self._noted(args, page, page.reason)
        if page.status != "ok":
            return _result("fetch_page", args, page.status, page.reason, payload=payload), None
        body = page.body
        if page.unchanged and earlier is not None:
            body = await self.page_body(earlier)
            payload["headers"] = earlier.payload["headers"] | page.headers  # a 304 repeats only some
        rendered = render_page(body, page.final_url)
        payload["title"] = rendered.title
        result = _result("fetch_page", args, "ok", None, payload=payload, text=rendered.text)
        return result.model_copy(update={"page_hash": tool_results.content_hash(body)}), body

    async def _noted(self, args: dict[str, Any], page: FetchedPage, reason: str) -> dict[str, JsonValue]:
        """What to remember of a failure that may pass. A pause that the site asks for is kept by all workers."""
        if page.retry_after_s is not None:
            site = (
                registrable_domain(page.final_url) or normalized_host(page.final_url) or page.final_url
            )  # as ``HostRateLimit``
            await self._pace(site, 0).pause(min(page.retry_after_s, RETRY_AFTER_MAX_S))
        within_s = self._settings.failure_ttl_minutes * 60
        async with self._database.transaction() as conn:
            last = await tool_results.find_last(conn, "fetch_page", args_hash("fetch_page", args), within_s)
        return failure_payload(reason, attempts(last), page.retry_after_s)


def normalised_url(url: str) -> str:
    """A URL in the form it is cached under: no fragment, lower-case scheme and host, no default port, a path."""
    plain = url.strip()
    try:
        plain = urldefrag(plain).url
        parts = urlsplit(plain)
        port = parts.port
    except ValueError:  # no address at all; it is refused where it is opened
        return plain
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    if port is not None and (parts.scheme, port) not in {("http", 80), ("https", 443)}:
        host = f"{host}:{port}"
    return urlunsplit((parts.scheme.lower(), host, parts.path or "/", parts.query, ""))


def _not_opened(args: dict[str, Any]) -> ToolResult:
    return _result("fetch_page", args, "blocked", FORGOTTEN, payload={"url": args["url"], "final_url": args["url"]})


def _known(earlier: ToolResult) -> CachedPage:
    headers = earlier.payload["headers"]
    return CachedPage(str(earlier.payload["final_url"]), headers.get("etag"), headers.get("last-modified"))


def may_succeed_later(result: ToolResult) -> bool:
    """Whether what a look-up has missed may be there a little later, so that nothing follows from it for long."""
    return retry_in_s(result) is not None or result.reason == RATE_LIMIT_TIMEOUT or result.reason in TRANSIENT_REASONS


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
