"""Fetching a page over real sockets through a real HTTP proxy. The guard refuses local servers that are not behind a proxy."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
import zlib

import pytest

from tests.http_server import Handler, Reply, Request, html, moved, serving
from web.fetch import FetchedPage, WebClient

PAGE = "http://acme.example/"
BYTES_MAX = 200_000


async def fetch(handler: Handler, url: str = PAGE, *, timeout_s: float = 5.0) -> FetchedPage:
    """Fetch from a web where the handler answers for every name, without any robots.txt."""
    async with serving(without_robots(handler)) as proxy:
        client = WebClient(proxy=proxy.url, timeout_s=timeout_s, bytes_max=BYTES_MAX)
        try:
            return await client.fetch(url)
        finally:
            await client.close()


def without_robots(handler: Handler) -> Handler:
    """The handler's web, without any robots.txt."""
    return lambda request: Reply(404) if request.target.endswith("/robots.txt") else handler(request)


async def test_a_page_is_ok_with_its_body_and_where_it_was_read() -> None:
    page = await fetch(lambda request: html("<h1>Acme</h1>"))
    headers = {"content-type": "text/html; charset=utf-8"}
    assert page == FetchedPage(PAGE, "ok", None, PAGE, 200, (), "<h1>Acme</h1>", headers)


async def test_a_client_says_who_it_is() -> None:
    seen: list[Request] = []

    def handler(request: Request) -> Reply:
        seen.append(request)
        return html("<p>ok</p>")

    await fetch(handler)
    assert seen[0].headers["user-agent"].startswith("pm-pipeline/")
    assert seen[0].headers["host"] == "acme.example"


async def test_redirects_are_followed_across_hosts_and_recorded() -> None:
    ways = {
        PAGE: moved("//www.acme.example/home", 301),
        "http://www.acme.example/home": moved("../new?a=1#top", 308),
        "http://www.acme.example/new?a=1": html("<p>here</p>"),
    }
    page = await fetch(lambda request: ways[request.target])
    assert (page.status, page.body) == ("ok", "<p>here</p>")
    assert page.final_url == "http://www.acme.example/new?a=1#top"
    assert page.redirects == (PAGE, "http://www.acme.example/home")


@pytest.mark.parametrize("target", [PAGE, "/again"], ids=["to itself", "in a circle"])
async def test_a_redirect_loop_ends(target: str) -> None:
    page = await fetch(lambda request: moved(target))
    assert (page.status, page.reason) == ("error", "too_many_redirects")
    assert len(page.redirects) == 6


@pytest.mark.parametrize("hops", [5, 6])
async def test_five_redirects_are_followed_and_no_sixth(hops: int) -> None:
    def handler(request: Request) -> Reply:
        number = int(request.target.rpartition("/")[2] or 0)
        return moved(f"/{number + 1}") if number < hops else html("<p>end</p>")

    assert (await fetch(handler)).status == ("ok" if hops == 5 else "error")


@pytest.mark.parametrize(
    "location", ["http://[", "http://exa mple.example:x/", "mailto:info@acme.example", "file:///etc/passwd"]
)
async def test_a_redirect_to_nonsense_is_a_result_not_a_crash(location: str) -> None:
    page = await fetch(lambda request: moved(location))
    assert page.status in {"error", "blocked"}
    assert page.body == ""


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://localhost/",
        "http://2130706433/",
        "http://10.0.0.1./",
    ],
)
async def test_a_redirect_to_a_private_address_is_never_followed(location: str) -> None:
    async with serving(without_robots(lambda request: moved(location))) as proxy:
        client = WebClient(proxy=proxy.url, timeout_s=5.0, bytes_max=BYTES_MAX)
        page = await client.fetch(PAGE)
        await client.close()
        assert (page.status, page.reason) == ("blocked", "private_address")
        assert proxy.targets == [f"{PAGE}robots.txt", PAGE]


@pytest.mark.parametrize("status", [401, 403, 407, 429, 451])
async def test_a_refusal_is_blocked(status: int) -> None:
    page = await fetch(lambda request: Reply(status, b"<h1>no</h1>", {"content-type": "text/html"}))
    assert (page.status, page.reason, page.http_status, page.body) == ("blocked", f"http_{status}", status, "")


@pytest.mark.parametrize("status", [404, 410, 500, 502, 503])
async def test_a_missing_or_broken_page_is_an_error(status: int) -> None:
    page = await fetch(lambda request: Reply(status, b"<h1>no</h1>", {"content-type": "text/html"}))
    assert (page.status, page.reason, page.body) == ("error", f"http_{status}", "")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "   \n ",
        "<html><head><title>Acme</title></head><body></body></html>",
        "<body><script>render()</script></body>",
        "<body><noscript>Enable JavaScript</noscript><div id=root></div></body>",
    ],
)
async def test_a_200_without_text_is_empty(body: str) -> None:
    page = await fetch(lambda request: html(body))
    assert (page.status, page.reason, page.http_status) == ("empty", "no_text", 200)


async def test_a_page_above_the_limit_is_refused() -> None:
    assert (await fetch(lambda request: html("x" * BYTES_MAX))).status == "ok"
    page = await fetch(lambda request: html("x" * (BYTES_MAX + 1)))
    assert (page.status, page.reason, page.body) == ("error", "too_large", "")


async def test_a_gzip_bomb_is_given_up_at_the_limit() -> None:
    bomb = gzip.compress(b"<p>" + b"x" * 300_000_000, compresslevel=1)
    tracemalloc.start()
    page = await fetch(
        lambda request: Reply(body=bomb, headers={"content-type": "text/html", "content-encoding": "gzip"})
    )
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (page.status, page.reason) == ("error", "too_large")
    assert peak_bytes < 50_000_000, "300 MB were not unpacked"


async def test_compressed_pages_are_read() -> None:
    body = zlib.compress(b"<p>Acme</p>")
    page = await fetch(lambda request: Reply(body=body, headers={"content-encoding": "deflate"}))
    assert page.body == "<p>Acme</p>"


@pytest.mark.parametrize(
    ("content_type", "body", "shown"),
    [
        ("text/html; charset=windows-1252", "<p>Café</p>".encode("cp1252"), "Café"),
        ("text/html", '<meta charset="iso-8859-1"><p>Café</p>'.encode("latin-1"), "Café"),
        ("text/html", "<p>Café</p>".encode(), "Café"),
        ("", "<p>Café</p>".encode(), "Café"),
        ("text/html; charset=klingon", "<p>Café</p>".encode(), "Café"),
        ("text/html; charset=utf-8", "<p>Café</p>".encode("latin-1"), "Caf\ufffd"),
        ("text/html; charset=hex", "<p>Café</p>".encode(), "Café"),
        ("text/html; charset=idna", "<p>Café</p>".encode(), "Café"),
        ("text/html; charset=undefined", "<p>Café</p>".encode(), "Café"),
        ("text/html", b"<p>A\x00cme</p>", "Acme"),
    ],
)
async def test_a_wrong_or_unknown_charset_never_loses_the_page(content_type: str, body: bytes, shown: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    page = await fetch(lambda request: Reply(body=body, headers=headers))
    assert page.status == "ok", page.reason
    assert shown in page.body


async def test_what_a_page_decodes_to_can_be_stored() -> None:
    # UTF-7 can spell half of a surrogate pair, which no UTF-8 database takes.
    page = await fetch(
        lambda request: Reply(body=b"<p>A+2AA-cme</p>", headers={"content-type": "text/html; charset=utf-7"})
    )
    assert page.body.encode("utf-8")


@pytest.mark.parametrize("content_type", ["application/pdf", "image/png", "application/json", "application/zip"])
async def test_what_is_no_page_is_not_read_as_one(content_type: str) -> None:
    page = await fetch(lambda request: Reply(body=b"%PDF-1.7", headers={"content-type": content_type}))
    assert (page.status, page.reason) == ("error", "not_html")


async def test_a_slow_server_costs_no_more_than_the_timeout() -> None:
    started_s = time.monotonic()
    page = await fetch(lambda request: Reply(after_s=30), timeout_s=0.3)
    assert (page.status, page.reason) == ("error", "timeout")
    assert time.monotonic() - started_s < 20, "the server's 30 s were not waited for"


async def test_the_timeout_covers_all_redirects() -> None:
    page = await fetch(lambda request: Reply(302, headers={"location": "/next"}, after_s=0.2), timeout_s=0.5)
    assert (page.status, page.reason) == ("error", "timeout")


async def test_a_server_that_is_not_there_is_an_error() -> None:
    with socket.socket() as holder:  # bound but not listening: nobody answers on this port
        holder.bind(("127.0.0.1", 0))
        client = WebClient(proxy=f"http://127.0.0.1:{holder.getsockname()[1]}", timeout_s=5, bytes_max=BYTES_MAX)
        page = await client.fetch(PAGE)
        await client.close()
    assert (page.status, page.reason) == ("error", "unreachable_refused")


async def test_a_page_closed_by_robots_txt_is_not_requested() -> None:
    rules = Reply(body=b"User-agent: *\nDisallow: /private\n", headers={"content-type": "text/plain"})
    async with serving(lambda request: rules if request.target.endswith("robots.txt") else html("<p>ok</p>")) as proxy:
        client = WebClient(proxy=proxy.url, timeout_s=5.0, bytes_max=BYTES_MAX)
        closed = await client.fetch(f"{PAGE}private/team")
        opened = await client.fetch(f"{PAGE}team")
        await client.close()
        assert (closed.status, closed.reason, opened.status) == ("blocked", "robots", "ok")
        assert proxy.targets == [f"{PAGE}robots.txt", f"{PAGE}team"], "the rules are asked for once"


@pytest.mark.parametrize(
    ("said", "reason"),
    [("ours; error=dns_error", "unreachable_no_such_host"), ("ours; error=connection_refused", "robots_unreachable")],
    ids=["no such name", "something else"],
)
async def test_the_proxy_reports_unknown_names(said: str, reason: str) -> None:
    """RFC 9209: a proxy says why it has no answer; without such a word it may be the site that fails."""
    async with serving(lambda request: Reply(502, b"no", {"proxy-status": said})) as proxy:
        client = WebClient(proxy=proxy.url, timeout_s=5.0, bytes_max=BYTES_MAX)
        assert (await client.fetch(PAGE)).reason == reason
        await client.close()
