"""Tool results, stored as evidence and as a cache. Tables ``tool_results`` and ``pages``.

A stored result never changes, because evidence refers to it.
"""

import hashlib
import zlib
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from store.database import Connection, fetch_model, fetch_models, fetch_value

ResultStatus = Literal["ok", "empty", "blocked", "error"]


class ToolResult(BaseModel):
    """A stored result.

    Attributes:
        payload: ``results`` for a search. For a page: ``url``, ``final_url``, ``http_status``, ``redirects``, ``headers``, ``title``.
            After a temporary failure: ``attempts``, ``retry_in_s`` (``web/page_retry.py``).
        text: words that can be quoted.
        page_hash: key of the page body in table ``pages``.
    """

    model_config = ConfigDict(frozen=True)

    result_id: str
    tool: str
    args: dict[str, Any]
    status: ResultStatus
    reason: str | None = None
    payload: dict[str, Any] = {}
    text: str = ""
    page_hash: str | None = None
    fetched_at: datetime

    @property
    def final_url(self) -> str:
        """The URL where a page was read, after redirects."""
        return str(self.payload.get("final_url") or self.args.get("url") or "")


async def find_fresh(conn: Connection, tool: str, args_hash: str) -> ToolResult | None:
    """Return the newest unexpired result for these arguments."""
    return await _newest(conn, "tool = %s AND args_hash = %s AND expires_at > now()", tool, args_hash)


async def find_last(conn: Connection, tool: str, args_hash: str, within_s: float) -> ToolResult | None:
    """Return the newest result from the last ``within_s`` seconds, even if it has expired.

    Ignores requests that our own rate limit prevented.
    """
    where = """
        tool = %s AND args_hash = %s AND fetched_at > now() - make_interval(secs => %s)
        AND reason IS DISTINCT FROM 'rate_limit_timeout'
    """
    return await _newest(conn, where, tool, args_hash, within_s)


async def find_page_read_at(conn: Connection, url: str) -> ToolResult | None:
    """Return the newest unexpired page that was read at this URL, directly or after redirects."""
    where = "payload->>'final_url' = %s AND tool = 'fetch_page' AND status = 'ok' AND expires_at > now()"
    return await _newest(conn, where, url)


async def find_changeable_page(conn: Connection, tool: str, args_hash: str) -> ToolResult | None:
    """Return the newest page, of any age, that allows a conditional request (ETag or Last-Modified)."""
    where = """
        tool = %s AND args_hash = %s AND status = 'ok' AND page_hash IS NOT NULL
        AND payload -> 'headers' ?| ARRAY['etag', 'last-modified']
    """
    return await _newest(conn, where, tool, args_hash)


async def _newest(conn: Connection, where: str, *params: object) -> ToolResult | None:
    query = f"SELECT * FROM tool_results WHERE {where} ORDER BY fetched_at DESC LIMIT 1"  # noqa: S608
    return await fetch_model(conn, ToolResult, query, params)


async def get_results(conn: Connection, result_ids: list[str]) -> dict[str, ToolResult]:
    """Return results by id. Unknown ids are left out."""
    query = "SELECT * FROM tool_results WHERE result_id = ANY(%s)"
    return {result.result_id: result for result in await fetch_models(conn, ToolResult, query, (result_ids,))}


async def save_result(conn: Connection, result: ToolResult, args_hash: str, ttl_s: float, body: str | None) -> None:
    """Store a result and its page body, if any. Equal bodies are stored once."""
    if body is not None:
        await conn.execute(
            "INSERT INTO pages (content_hash, body) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (result.page_hash, zlib.compress(body.encode(), 6)),
        )
    await conn.execute(
        """
        INSERT INTO tool_results (result_id, tool, args_hash, args, status, reason, payload, text, page_hash,
                                  fetched_at, expires_at)
        VALUES (%(result_id)s, %(tool)s, %(args_hash)s, %(args)s, %(status)s, %(reason)s, %(payload)s, %(text)s,
                %(page_hash)s, %(fetched_at)s, %(fetched_at)s + make_interval(secs => %(ttl_s)s))
        ON CONFLICT (result_id) DO NOTHING
        """,
        result.model_dump()
        | {"args_hash": args_hash, "ttl_s": ttl_s, "args": Jsonb(result.args), "payload": Jsonb(result.payload)},
    )


async def load_body(conn: Connection, page_hash: str) -> str:
    """Return a stored page body. Raises LookupError if it does not exist."""
    body = await fetch_value(conn, "SELECT body FROM pages WHERE content_hash = %s", (page_hash,))
    if body is None:
        raise LookupError(f"no stored page {page_hash}")
    return zlib.decompress(body).decode()


def content_hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
