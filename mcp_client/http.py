"""The HTTP under a streamable HTTP session: answers of a bounded size, and the signs that a server has lost the session.

The library bounds single events of a stream but not an answer in plain JSON. Here both are counted, and what stands in the place of an
answer that is too large is an error for the same request, so that one such answer costs one call and not the session.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import httpx2

from domain.retry_after import retry_after_s
from mcp_client.config import HttpServer
from mcp_client.stdio import too_large_error

_SESSION_HEADER = "mcp-session-id"
_READ_SLACK_S = 5.0
_PAUSE_MAX_S = 300.0  # as for the model and the search: a server may ask for more, and is asked again after this


class HttpSigns:
    """What was seen on the wire.

    Attributes:
        refused: the server provably did not work on a request: it could not be connected to, or does not know the session.
        status: the last HTTP status that was an error; None without one.
        pause_s: the pause that the server last asked for (429 or 503 with ``Retry-After``), in seconds.
    """

    def __init__(self) -> None:
        self.refused = False
        self.status: int | None = None
        self.pause_s: float | None = None

    def taken_pause_s(self) -> float | None:
        """The pause that was asked for, once."""
        pause_s, self.pause_s = self.pause_s, None
        return pause_s


def http_client(server: HttpServer, *, timeout_s: float, bytes_max: int, signs: HttpSigns) -> httpx2.AsyncClient:
    """The client for one server's session; to be used as a context manager.

    Args:
        timeout_s: for connecting and writing; reading may take as long as a call, and a little more.
    """
    return httpx2.AsyncClient(
        transport=_BoundedTransport(bytes_max, signs),
        # Compressed, a small answer could become a large one behind the count.
        headers={**server.headers, "Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(timeout_s, read=timeout_s + _READ_SLACK_S),
        trust_env=False,
    )


class _BoundedTransport(httpx2.AsyncBaseTransport):
    def __init__(self, bytes_max: int, signs: HttpSigns) -> None:
        self._inner = httpx2.AsyncHTTPTransport()
        self._bytes_max = bytes_max
        self._signs = signs

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            self._signs.refused = True
            raise
        if response.status_code >= httpx2.codes.BAD_REQUEST:
            self._signs.status = response.status_code
        if response.status_code in {httpx2.codes.TOO_MANY_REQUESTS, httpx2.codes.SERVICE_UNAVAILABLE}:
            pause_s = retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
            self._signs.pause_s = None if pause_s is None else min(pause_s, _PAUSE_MAX_S)
        if response.status_code == httpx2.codes.NOT_FOUND and _SESSION_HEADER in request.headers:
            self._signs.refused = True
        if request.method != "POST":
            return response  # the stream of notifications has no end; its events are bounded by the session
        body = cast(httpx2.AsyncByteStream, response.stream)
        if response.headers.get("content-encoding", "identity") != "identity":
            await body.aclose()
            raise httpx2.DecodingError("the answer is compressed although this was not asked for", request=request)
        is_events = response.headers.get("content-type", "").lower().startswith("text/event-stream")
        stand_in = _stand_in(request, is_events=is_events)
        response.headers.pop("content-length", None)
        response.stream = _BoundedStream(body, self._bytes_max, stand_in, is_events=is_events)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    """An answer's bytes; beyond the bound, a stand-in and the end."""

    def __init__(self, inner: httpx2.AsyncByteStream, bytes_max: int, stand_in: bytes, *, is_events: bool) -> None:
        self._inner = inner
        self._bytes_max = bytes_max
        self._stand_in = stand_in
        self._is_events = is_events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held: list[bytes] = []
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > self._bytes_max:
                yield self._stand_in
                return
            if self._is_events:
                yield chunk
            else:
                held.append(chunk)  # plain JSON cannot be taken back once it has begun
        for chunk in held:
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _stand_in(request: httpx2.Request, *, is_events: bool) -> bytes:
    message = json.loads(request.content)
    request_id = message.get("id", 0) if isinstance(message, dict) else 0
    error = too_large_error(request_id).model_dump_json(by_alias=True, exclude_unset=True)
    if not is_events:
        return error.encode()
    # The event that has begun is ended under a name that nobody reads.
    return f"\nevent: cut\n\nevent: message\ndata: {error}\n\n".encode()
