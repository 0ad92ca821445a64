"""robots.txt (RFC 9309): its rules, one request by all workers, and any content is harmless."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from settings import Settings
from store.database import Database
from tests.http_server import Handler, HttpServer, Reply, html, moved, serving
from web.fetch import FetchedPage, WebClient, make_web_client
from web.robots import Answer, Robots

SITE = "http://acme.example"
CLOSED = "User-agent: *\nDisallow: /\n"


async def rules_of(status: int, text: str = "") -> Robots:
    async def fetch_text(url: str) -> Answer:
        assert url == f"{SITE}/robots.txt"
        return status, text

    return Robots(fetch_text)


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("", "/", True),
        (CLOSED, "/", False),
        ("User-agent: pm-pipeline\nDisallow: /\n\nUser-agent: *\nAllow: /\n", "/", False),
        ("User-agent: otherbot\nDisallow: /\n", "/", True),
        ("User-agent: *\nDisallow: /\nAllow: /about\n", "/about", True),
        ("User-agent: *\nDisallow: /*.php$\n", "/team.php", False),
        ("User-agent: *\r\nDisallow: /a\r\n", "/a/b", False),
        ("\ufeffUser-agent: *\nDisallow: /\n", "/", False),
        ("<html><body>Not found</body></html>", "/", True),
        ("\x00\xff nonsense : : :\nDisallow /\n", "/", True),
    ],
)
async def test_the_rules_for_us_or_for_all_decide(text: str, path: str, allowed: bool) -> None:
    assert (await (await rules_of(200, text)).rules(SITE)).allow(SITE + path) is allowed


async def test_concurrent_pages_of_an_origin_share_one_request() -> None:
    requested: list[str] = []
    answered = asyncio.Event()

    async def fetch_text(url: str) -> Answer:
        requested.append(url)
        await answered.wait()
        return 200, CLOSED

    robots = Robots(fetch_text)
    first, *others = [asyncio.create_task(robots.rules(f"{SITE}/{page}")) for page in "abc"]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    answered.set()
    assert [rules.allow(SITE) for rules in await asyncio.gather(*others)] == [False, False]
    assert requested == [f"{SITE}/robots.txt"]


@pytest.mark.parametrize(
    ("status", "allowed"), [(404, True), (403, True), (410, True), (429, False), (500, False), (503, False)]
)
async def test_4xx_allows_everything_and_5xx_nothing(status: int, allowed: bool) -> None:
    assert (await (await rules_of(status, CLOSED)).rules(SITE)).allow(f"{SITE}/") is allowed


@pytest.mark.parametrize(
    ("text", "crawl_delay_s"),
    [
        ("User-agent: *\nCrawl-delay: 7.5", 7.5),
        ("User-agent: *\nCrawl-delay: 2\n\nUser-agent: pm-pipeline\nCrawl-delay: 3", 3.0),
        ("User-agent: otherbot\nCrawl-delay: 7", None),
        ("User-agent: *\nCrawl-delay: nan", None),
        ("User-agent: *\nCrawl-delay: -1", None),
        ("User-agent: *\nCrawl-delay: soon", None),
    ],
)
async def test_the_crawl_delay_is_the_one_for_us_or_for_all(text: str, crawl_delay_s: float | None) -> None:
    assert (await (await rules_of(200, text)).rules(SITE)).crawl_delay_s == crawl_delay_s


@asynccontextmanager
async def workers(
    database: Database, settings: Settings, handler: Handler, count: int = 2
) -> AsyncIterator[tuple[list[WebClient], HttpServer]]:
    """Clients of several workers, which share the database and no memory."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(handler))
        proxied = settings.model_copy(
            update={"web_proxy": server.url, "host_request_interval_s": 0.0, "page_bytes_max": 100_000}
        )
        clients = [make_web_client(database, proxied) for _ in range(count)]
        for each in clients:
            stack.push_async_callback(each.close)
        yield clients, server


def looks(server: HttpServer) -> int:
    return sum(target.endswith("/robots.txt") for target in server.targets)


async def test_robots_txt_is_asked_for_once_by_all_workers(database: Database, settings: Settings) -> None:
    def handler(request: object) -> Reply:
        target = getattr(request, "target", "")
        return Reply(body=b"User-agent: *\nDisallow: /closed\n", after_s=0.2) if "robots" in target else html("<p>ok")

    async with workers(database, settings, handler) as (clients, server):
        wanted = [web.fetch(f"{SITE}/{path}") for web in clients for path in ("a", "b", "closed")]
        pages = await asyncio.gather(*wanted)
        assert [page.reason for page in pages] == [None, None, "robots"] * 2
        assert looks(server) == 1
    async with workers(database, settings, handler, 1) as ([later], server):
        assert (await later.fetch(f"{SITE}/closed")).reason == "robots"
        assert server.requests == []


@pytest.mark.parametrize(
    ("status", "kept_s", "reason"), [(200, 23 * 3600, None), (404, 23 * 3600, None), (503, 2, "robots_unreachable")]
)
async def test_robots_txt_is_cached_for_a_day_failures_for_seconds(
    database: Database, settings: Settings, status: int, kept_s: int, reason: str | None
) -> None:
    def handler(request: object) -> Reply:
        return Reply(status, b"gone" * 9) if "robots" in getattr(request, "target", "") else html("<p>ok")

    async with workers(database, settings, handler, 1) as ([web], _):
        assert (await web.fetch(SITE)).reason == reason
    async with database.transaction() as conn:
        kept = "SELECT tool, args, extract(epoch FROM expires_at - fetched_at)::int AS kept_s FROM tool_results"
        rows = await (await conn.execute(kept)).fetchall()
    assert rows == [{"tool": "robots_txt", "args": {"origin": SITE}, "kept_s": kept_s}]


async def test_a_robots_txt_timeout_is_not_cached(database: Database, settings: Settings) -> None:
    answers = iter([Reply(after_s=30), Reply(404), html("<p>ok")])
    hasty = settings.model_copy(update={"page_timeout_s": 0.3})
    async with workers(database, hasty, lambda request: next(answers), 1) as ([web], _):
        assert (await web.fetch(SITE)).reason == "timeout"
    async with workers(database, settings, lambda request: next(answers), 1) as ([web], _):
        assert (await web.fetch(SITE)).status == "ok"


async def fetched(robots: Reply) -> FetchedPage:
    """The closed page of a site with this robots.txt."""
    answers = {f"{SITE}/robots.txt": robots, f"{SITE}/closed": html("<p>closed</p>")}
    async with serving(lambda request: answers.get(request.target, Reply(404))) as proxy:
        web = WebClient(proxy=proxy.url, timeout_s=5.0, bytes_max=1_000)
        try:
            return await web.fetch(f"{SITE}/closed")
        finally:
            await web.close()


RULE = b"User-agent: *\nDisallow: /closed\n"
PADDING = b"# " + b"x" * 60 + b"\n"
GZIP = {"content-encoding": "gzip"}


@pytest.mark.parametrize(
    ("robots", "reason"),
    [
        (Reply(body=RULE + PADDING * 20_000), "robots"),
        (Reply(body=PADDING * 20_000 + RULE), None),
        (Reply(body=gzip.compress(RULE + b"#" * 100_000_000, 1), headers=GZIP), "robots"),
        (Reply(body=RULE, headers={"content-type": "text/plain; charset=klingon"}), "robots"),
        (Reply(body=RULE.decode().encode("utf-16"), headers={"content-type": "text/plain; charset=utf-16"}), "robots"),
        (Reply(body=RULE, headers={"content-type": "image/png"}), "robots"),
        (moved("/robots.txt"), None),
        (moved("http://127.0.0.1/robots.txt"), None),
        (moved("file:///etc/passwd"), None),
        (Reply(body=b"not gzip", headers=GZIP), "undecodable"),
    ],
    ids=["1 MB", "after 1 MB", "gzip bomb", "charset", "utf-16", "image", "loop", "private", "file", "undecodable"],
)
async def test_any_robots_txt_ends_in_a_typed_result(robots: Reply, reason: str | None) -> None:
    assert (await fetched(robots)).reason == reason
