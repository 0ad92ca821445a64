"""An expired page is revalidated, not sent again if it has not changed (RFC 9110, section 13)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from settings import Settings
from store.database import Database
from store.tools.tool_results import ToolResult
from tests.http_server import HttpServer, Reply, Request, html, moved, serving
from web.fetch import WebClient
from web.gateway import ToolGateway

URL = "http://acme.example/"
MONDAY, TUESDAY = "Mon, 05 Jan 2026 08:00:00 GMT", "Tue, 06 Jan 2026 08:00:00 GMT"


@dataclass
class Site:
    """A web server that knows when its page has changed."""

    gateway: ToolGateway
    database: Database
    server: HttpServer
    pages: dict[str, Reply]
    conditions: list[dict[str, str]] = field(default_factory=list)

    async def read(self) -> ToolResult:
        return await self.gateway.fetch_page(URL)

    async def later(self) -> None:
        """The time to live of all that was read is over."""
        async with self.database.transaction() as conn:
            await conn.execute("UPDATE tool_results SET expires_at = now()")


@pytest.fixture
async def site(database: Database, settings: Settings) -> AsyncIterator[Site]:
    pages: dict[str, Reply] = {}
    conditions: list[dict[str, str]] = []

    def handler(request: Request) -> Reply:
        if request.target.endswith("/robots.txt"):
            return Reply(404)
        conditions.append({name: value for name, value in request.headers.items() if name.startswith("if-")})
        page = pages[request.target]
        etag, modified = page.headers.get("etag"), page.headers.get("last-modified")
        if (etag and request.headers.get("if-none-match") == etag) or (
            modified and not etag and request.headers.get("if-modified-since") == modified
        ):
            return Reply(304, headers={"etag": etag} if etag else {})
        return page

    async with serving(handler) as server:
        web = WebClient(proxy=server.url, timeout_s=5.0, bytes_max=100_000)
        yield Site(ToolGateway(database, web, None, settings), database, server, pages, conditions)
        await web.close()


@pytest.mark.parametrize(
    ("headers", "asked_with"),
    [
        ({"etag": '"v1"'}, {"if-none-match": '"v1"'}),
        ({"last-modified": MONDAY}, {"if-modified-since": MONDAY}),
        ({"etag": 'W/"v1"', "last-modified": MONDAY}, {"if-none-match": 'W/"v1"', "if-modified-since": MONDAY}),
    ],
    ids=["etag", "date", "both"],
)
async def test_an_unchanged_page_reuses_the_stored_body(
    site: Site, headers: dict[str, str], asked_with: dict[str, str]
) -> None:
    site.pages[URL] = html("<title>Acme</title><p>Homes</p>", server="nginx", **headers)
    first = await site.read()
    await site.later()
    second = await site.read()
    assert site.conditions == [{}, asked_with]
    assert second.result_id != first.result_id
    assert (second.status, second.text, second.page_hash) == ("ok", "Homes", first.page_hash)
    assert second.fetched_at > first.fetched_at
    assert (second.payload["http_status"], second.payload["title"]) == (304, "Acme")
    assert second.payload["headers"] == first.payload["headers"]
    assert await site.gateway.page_body(second) == "<title>Acme</title><p>Homes</p>"
    await site.later()
    assert (await site.read()).text == "Homes", "and once more, from the result of a 304"


async def test_a_changed_page_is_fetched_again(site: Site) -> None:
    site.pages[URL] = html("<p>Homes</p>", etag='"v1"')
    first = await site.read()
    await site.later()
    site.pages[URL] = html("<p>Houses</p>", etag='"v2"')
    second = await site.read()
    assert (second.text, second.payload["http_status"], second.payload["headers"]["etag"]) == ("Houses", 200, '"v2"')
    assert await site.gateway.page_body(first) == "<p>Homes</p>", "evidence stays"


async def test_a_fresh_page_is_not_revalidated(site: Site) -> None:
    site.pages[URL] = html("<p>Homes</p>", etag='"v1"')
    assert await site.read() == await site.read()
    assert len(site.conditions) == 1


async def test_a_page_without_validators_is_fetched_whole(site: Site) -> None:
    site.pages[URL] = html("<p>Homes</p>")
    await site.read()
    await site.later()
    await site.read()
    assert site.conditions == [{}, {}]


async def test_validators_go_to_the_final_page_not_the_redirect(site: Site) -> None:
    site.pages[URL] = moved("/home")
    site.pages[f"{URL}home"] = html("<p>Homes</p>", etag='"v1"')
    await site.read()
    await site.later()
    assert (await site.read()).text == "Homes"
    assert site.conditions == [{}, {}, {}, {"if-none-match": '"v1"'}]
    await site.later()
    site.pages[URL] = moved("/new")
    site.pages[f"{URL}new"] = html("<p>Elsewhere</p>")
    assert (await site.read()).text == "Elsewhere"
    assert site.conditions[4:] == [{}, {}]


async def test_a_failure_in_between_keeps_the_cached_page(site: Site) -> None:
    site.pages[URL] = html("<p>Homes</p>", etag='"v1"')
    await site.read()
    await site.later()
    site.pages[URL] = Reply(503)
    assert (await site.read()).reason == "http_503"
    await site.later()
    site.pages[URL] = html("<p>Homes</p>", etag='"v1"')
    assert (await site.read()).payload["http_status"] == 304


async def test_an_unexpected_304_is_an_error(site: Site) -> None:
    site.pages[URL] = Reply(304)
    result = await site.read()
    assert (result.status, result.reason) == ("error", "http_304")


async def test_only_known_headers_are_stored(site: Site) -> None:
    kept = {"etag": '"v1"', "last-modified": TUESDAY, "server": "nginx", "content-type": "text/html; charset=utf-8"}
    site.pages[URL] = html("<p>Homes</p>", **kept, **{"set-cookie": "session=secret", "x-powered-by": "PHP"})
    assert (await site.read()).payload["headers"] == kept


async def test_any_header_can_be_stored(site: Site) -> None:
    site.pages[URL] = html("<p>Homes</p>", server="x" * 5000, etag='"\u00e9"')
    headers = (await site.read()).payload["headers"]
    assert len(headers["server"]) == 500
    await site.later()
    assert (await site.read()).text == "Homes"
