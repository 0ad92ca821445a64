"""The demo web as an HTTP forward proxy: `GET http://acme.example/about` is answered from the world.

An unknown host is 502 with the header of RFC 9209. CONNECT (https) is 501. A silent host holds the connection until the
client gives up or the server closes. This is plain ASGI, because a router cannot handle the full URL of a proxy request.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from local.demo.entities import Site, World
from local.demo.layouts import bare_document

# The date of all pages. It is fixed, so that responses are the same in every run.
EPOCH = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


class DemoWeb:
    """The proxy of one world (an ASGI application). Call `close` before you stop its server."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Release the connections of silent hosts, so that the server can stop."""
        self._closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one proxy request. Ignores anything but HTTP."""
        if scope["type"] != "http":
            return
        site = self._world.sites.get(_host(scope))
        if site is not None and site.behaviour == "silent" and scope["method"] != "CONNECT":
            await self._hold(receive)
        response = self._respond(scope, site)
        response.headers["X-Demo-World"] = f"seed={self._world.seed}"
        await response(scope, receive, send)

    def _respond(self, scope: Scope, site: Site | None) -> Response:
        method, host = scope["method"], _host(scope)
        if method == "CONNECT":
            return _plain(501, f"pm-pipeline demo web: no CONNECT ({host}); the demo world speaks plain http:// only.")
        if site is None:
            unknown = _plain(502, f"pm-pipeline demo web: {host!r} is not in the demo world (seed {self._world.seed}).")
            unknown.headers["Proxy-Status"] = "demo; error=dns_error"  # RFC 9209: no such host
            return unknown
        if method not in ("GET", "HEAD"):
            return Response("405 Method Not Allowed", 405, {"Allow": "GET, HEAD"}, "text/plain")
        path, query = _target(scope)
        match site.behaviour:
            case "redirect":
                return _moved(f"http://{site.redirect_to}{_joined(path, query)}")
            case "empty":
                return Response(b"", 200, media_type="text/html")
            case "silent":
                return _plain(503, "pm-pipeline demo web: closing.")
            case "not_found":
                return _not_found(site.host)
            case "parked":
                return _document(scope, site, site.pages["/"].html, "text/html")
            case _:
                return self._page(scope, site, path, query)

    def _page(self, scope: Scope, site: Site, path: str, query: str) -> Response:
        if path == "/robots.txt":
            return _document(scope, site, site.robots_txt, "text/plain")
        if path == "/sitemap.xml":
            return _document(scope, site, _sitemap(site), "application/xml")
        page = site.pages.get(_joined(path, query))
        if page is None and "page=" not in query:
            page = site.pages.get(path)
        if page is None:
            other = path.rstrip("/") if path.endswith("/") else f"{path}/"
            if other in site.pages:
                return _moved(f"http://{site.host}{other}")
            return _not_found(site.host)
        return _document(scope, site, page.html, "text/html")

    async def _hold(self, receive: Receive) -> None:
        gone = asyncio.create_task(_disconnected(receive))
        closing = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait((gone, closing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            closing.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _host(scope: Scope) -> str:
    """Return the requested host, from the absolute URL or the Host header."""
    if scope["method"] == "CONNECT":
        return str(scope["path"]).rsplit(":", 1)[0]
    named = urlsplit(scope["path"]).hostname if "://" in scope["path"][:8] else None
    host = named or Headers(scope=scope).get("host", "").rsplit(":", 1)[0]
    return host.casefold().removeprefix("www.").rstrip(".")


def _target(scope: Scope) -> tuple[str, str]:
    """Return path and query. uvicorn splits the query off, even from an absolute URL."""
    path = urlsplit(scope["path"]).path if "://" in scope["path"][:8] else str(scope["path"])
    return path or "/", bytes(scope["query_string"]).decode("latin-1")


def _joined(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _document(scope: Scope, site: Site, text: str, media_type: str) -> Response:
    body = text.encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    modified = EPOCH - timedelta(days=site.age_days)
    headers = {"ETag": etag, "Last-Modified": format_datetime(modified, usegmt=True)}
    known = Headers(scope=scope).get("if-none-match", "")
    if etag in known or known == "*":
        return Response(status_code=304, headers=headers)
    # Starlette sends a body for HEAD. uvicorn drops it and keeps the length.
    return Response(body, 200, headers, media_type)


def _moved(url: str) -> Response:
    return Response(status_code=301, headers={"Location": url})


def _not_found(host: str) -> Response:
    html = bare_document("404 Not Found", f"<h1>Not Found</h1><p>There is no such page on {host}.</p>")
    return Response(html, 404, media_type="text/html")


def _plain(status: int, text: str) -> Response:
    return Response(text + "\n", status, media_type="text/plain")


def _sitemap(site: Site) -> str:
    urls = "".join(f"<url><loc>http://{site.host}{path.replace('&', '&amp;')}</loc></url>" for path in site.pages)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>\n'
