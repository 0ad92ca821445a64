"""The web as all workers on one database share it: one pace for each site, each robots.txt read once."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

from domain.storable_text import storable
from settings import Settings
from store.database import Database
from store.erasure import forgotten
from store.tools.tool_results import ResultStatus, ToolResult
from web.fetch import WebClient
from web.rate_limit import HostRateLimit
from web.result_cache import ResultCache
from web.robots import STORED_TTL_S, UNREACHABLE_TTL_S, Answer, is_unreachable

_TOOL = "robots_txt"


def make_web_client(database: Database, settings: Settings) -> WebClient:
    """A worker's client for the web; the caller closes it."""
    pace = HostRateLimit(
        database,
        interval_s=settings.host_request_interval_s,
        crawl_delay_max_s=settings.crawl_delay_max_s,
        wait_max_s=settings.rate_limit_wait_max_s,
    )

    async def is_forgotten(url: str) -> bool:
        async with database.transaction() as conn:
            return await forgotten.is_site_forgotten(conn, url)

    return WebClient(
        proxy=settings.web_proxy,
        timeout_s=settings.page_timeout_s,
        bytes_max=settings.page_bytes_max,
        acquire=pace.acquire,
        shared_robots=SharedRobots(database).answer,
        is_forgotten=is_forgotten,
    )


class SharedRobots:
    """What origins answered when asked for their robots.txt, kept among the tool results as ``robots_txt``."""

    def __init__(self, database: Database) -> None:
        self._calls = ResultCache(database)

    async def answer(self, origin: str, fetch: Callable[[], Awaitable[Answer]]) -> Answer:
        """The stored answer, or that of one new look by whichever worker comes first.

        A look that failed on the way (no connection, no answer in time) is not stored; its error reaches the caller.
        """

        async def call() -> tuple[ToolResult, None]:
            return _result(origin, *await fetch()), None

        result = await self._calls.result(_TOOL, {"origin": origin}, call, _ttl_s)
        return int(result.payload["http_status"]), result.text


def _result(origin: str, http_status: int, text: str) -> ToolResult:
    found = 200 <= http_status < 300
    status: ResultStatus = "ok" if found else "error" if is_unreachable(http_status) else "empty"
    return ToolResult(
        result_id=f"r{uuid4().hex[:16]}",
        tool=_TOOL,
        args={"origin": origin},
        status=status,
        reason=None if found else f"http_{http_status}",
        payload={"http_status": http_status},
        text=storable(text) if found else "",
        fetched_at=datetime.now(UTC),
    )


def _ttl_s(result: ToolResult) -> float:
    return UNREACHABLE_TTL_S if result.status == "error" else STORED_TTL_S
