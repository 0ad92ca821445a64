"""SearXNG's JSON search interface over the demo world, for the product's normal client.

`GET /search?q=...&format=json&pageno=N`, or POST with a form. Like SearXNG, a missing query is 400 and any format but
`json` is 403. `GET /healthz` answers `OK`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local.demo.entities import World
from local.demo.index import Hit, SearchIndex

PER_PAGE = 10
ENGINE = "pm-pipeline demo"


def create_app(world: World) -> Starlette:
    """Build the index, and return the search app of a world."""
    index = SearchIndex(world)
    headers = {"X-Demo-World": f"seed={world.seed}"}

    async def search(request: Request) -> Response:
        fields = dict(request.query_params)
        if request.method == "POST":
            fields.update(parse_qsl((await request.body()).decode("utf-8", "replace")))
        if fields.get("format", "html") != "json":
            return PlainTextResponse("403 Forbidden: only format=json is enabled", 403, headers)
        query = fields.get("q", "").strip()
        if not query:
            return JSONResponse({"error": "No query"}, 400, headers)
        pageno = fields.get("pageno", "1")
        if not pageno.isdecimal() or int(pageno) < 1:
            return JSONResponse({"error": "Invalid value for parameter pageno"}, 400, headers)
        found = index.search(query, offset=(int(pageno) - 1) * PER_PAGE, limit=PER_PAGE)
        return JSONResponse(_answer(query, *found), headers=headers)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("OK", headers=headers)

    return Starlette(routes=[Route("/search", search, methods=["GET", "POST"]), Route("/healthz", healthz)])


def _answer(query: str, total: int, hits: list[Hit]) -> dict[str, Any]:
    return {
        "query": query,
        "number_of_results": total,
        "results": [
            {
                "url": hit.url,
                "title": hit.title,
                "content": hit.content,
                "engine": ENGINE,
                "score": hit.score,
                "category": "general",
            }
            for hit in hits
        ],
        "answers": [],
        "corrections": [],
        "infoboxes": [],
        "suggestions": [],
        "unresponsive_engines": [],
    }
