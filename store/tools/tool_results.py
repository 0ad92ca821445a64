"""What tools returned, kept as evidence and as a cache. Tables ``tool_results`` and ``pages``.

A result is never changed: evidence points at it. A refresh writes a new one.
"""

import hashlib
import zlib
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from store.database import Connection

ResultStatus = Literal["ok", "empty", "blocked", "error"]


class ToolResult(BaseModel):
    """One stored result.

    Attributes:
        payload: search: ``results``; page: ``url``, ``final_url``, ``http_status``, ``redirects``, ``headers``, ``title``; a
            page that failed for a reason that may pass: ``attempts``, ``retry_in_s`` (``web/page_retry.py``).
        text: the words that can be quoted.
        page_hash: key of the stored page body, where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

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
        """Where a page was read, after redirects."""
        return str(self.payload.get("final_url") or self.args.get("url") or "")


async def find_fresh(conn: Connection, tool: str, args_hash: str) -> ToolResult | None:
    """The newest result for these arguments that has not expired."""
    cursor = await conn.execute(
        """
        SELECT * FROM tool_results WHERE tool = %s AND args_hash = %s AND expires_at > now()
        ORDER BY fetched_at DESC LIMIT 1
        """,
        (tool, args_hash),
    )
    row = await cursor.fetchone()
    return ToolResult.model_validate(row) if row else None


async def find_last(conn: Connection, tool: str, args_hash: str, within_s: float) -> ToolResult | None:
    """The newest result for these arguments, expired or not, if it came within the last ``within_s`` seconds. One that was
    never asked for, since our own pace left no time, says nothing and is passed over."""
    cursor = await conn.execute(
        """
        SELECT * FROM tool_results
        WHERE tool = %s AND args_hash = %s AND fetched_at > now() - make_interval(secs => %s)
          AND reason IS DISTINCT FROM 'rate_limit_timeout'
        ORDER BY fetched_at DESC LIMIT 1
        """,
        (tool, args_hash, within_s),
    )
    row = await cursor.fetchone()
    return ToolResult.model_validate(row) if row else None


async def find_page_read_at(conn: Connection, url: str) -> ToolResult | None:
    """The newest page that has not expired and was finally read at this address, wherever the way to it began."""
    cursor = await conn.execute(
        """
        SELECT * FROM tool_results
        WHERE payload->>'final_url' = %s AND tool = 'fetch_page' AND status = 'ok' AND expires_at > now()
        ORDER BY fetched_at DESC LIMIT 1
        """,
        (url,),
    )
    row = await cursor.fetchone()
    return ToolResult.model_validate(row) if row else None


async def find_changeable_page(conn: Connection, tool: str, args_hash: str) -> ToolResult | None:
    """The newest page read for these arguments, however old, whose server said how to ask whether it has changed."""
    cursor = await conn.execute(
        """
        SELECT * FROM tool_results
        WHERE tool = %s AND args_hash = %s AND status = 'ok' AND page_hash IS NOT NULL
              AND payload -> 'headers' ?| ARRAY['etag', 'last-modified']
        ORDER BY fetched_at DESC LIMIT 1
        """,
        (tool, args_hash),
    )
    row = await cursor.fetchone()
    return ToolResult.model_validate(row) if row else None


async def get_results(conn: Connection, result_ids: list[str]) -> dict[str, ToolResult]:
    """Results by id; an unknown id is left out."""
    cursor = await conn.execute("SELECT * FROM tool_results WHERE result_id = ANY(%s)", (result_ids,))
    return {row["result_id"]: ToolResult.model_validate(row) for row in await cursor.fetchall()}


async def save_result(conn: Connection, result: ToolResult, args_hash: str, ttl_s: float, body: str | None) -> None:
    """Store a result and, for a page, its body (once per content)."""
    if body is not None:
        await conn.execute(
            "INSERT INTO pages (content_hash, body) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (result.page_hash, zlib.compress(body.encode(), 6)),
        )
    await conn.execute(
        """
        INSERT INTO tool_results (result_id, tool, args_hash, args, status, reason, payload, text, page_hash,
                                  fetched_at, expires_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s + make_interval(secs => %s))
        ON CONFLICT (result_id) DO NOTHING
        """,
        (
            result.result_id,
            result.tool,
            args_hash,
            Jsonb(result.args),
            result.status,
            result.reason,
            Jsonb(result.payload),
            result.text,
            result.page_hash,
            result.fetched_at,
            result.fetched_at,
            ttl_s,
        ),
    )


async def load_body(conn: Connection, page_hash: str) -> str:
    """A stored page body."""
    cursor = await conn.execute("SELECT body FROM pages WHERE content_hash = %s", (page_hash,))
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(f"no stored page {page_hash}")
    return zlib.decompress(row["body"]).decode()


def content_hash(body: str) -> str:
    """Key of a page body."""
    return hashlib.sha256(body.encode()).hexdigest()
