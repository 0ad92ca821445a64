"""The demo model behind a till: every answer is charged when it is made, whether or not anybody receives it.

What the till holds is what a provider's invoice would say; ``budget.py`` compares it with what was set aside and kept. The
answers are the demo model's, over a real socket; how they fail is drawn. Prices are looked up here, not with the code under
test.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass, field
from typing import Literal

import uvicorn
from genai_prices import Usage, calc_price
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from local.demo.model.app import answer

MODEL = "gpt-5.6-luna"  # a list price with all there is: tiers, cheaper reads from its cache, dearer writes to it
Fault = Literal["none", "refused", "pause", "failed", "gateway", "cut", "hang", "late", "killed", "no_usage"]
UNCHARGED: frozenset[Fault] = frozenset({"refused", "pause", "failed"})
_LATE_S = 0.3
_HANG_S = 60.0
_PAUSE_S = "0.2"


@dataclass
class Till:
    """One run's account with the provider.

    Attributes:
        faults: what becomes of its calls, in the order in which they come; after the last they all succeed.
        dearest: whether each call costs as much as such a request and answer can: a token for every byte, all of it written to a
            cache, and the longest answer allowed.
        callers: the tasks of its attempts, by name; a call may be the last thing that one of them does.
    """

    faults: list[Fault]
    dearest: bool
    callers: dict[str, "asyncio.Task[object]"] = field(default_factory=dict)
    spent_usd: float = 0.0
    charged: int = 0
    met: list[Fault] = field(default_factory=list)


class MeteredModel:
    """The server; a run's calls carry ``<run>/<attempt>`` as their key."""

    def __init__(self) -> None:
        self.tills: dict[str, Till] = {}

    async def respond(self, request: Request) -> Response:
        """``POST /v1/responses``."""
        run, _, attempt = request.headers["authorization"].removeprefix("Bearer ").partition("/")
        till = self.tills[run]
        fault = till.faults.pop(0) if till.faults else "none"
        till.met.append(fault)
        if fault in UNCHARGED:
            status = {"refused": 429, "pause": 429, "failed": 500}[fault]
            headers = {"retry-after": _PAUSE_S} if fault == "pause" else {}
            return JSONResponse({"error": {"message": fault, "code": None}}, status_code=status, headers=headers)
        raw = await request.body()
        made = answer(raw)
        if till.dearest:
            # Of what was sent, these are read by the model; the names of the other fields are not.
            body = json.loads(raw)
            read = [body.get(name) for name in ("instructions", "input", "tools", "text")]
            size = len(json.dumps(read, ensure_ascii=False, separators=(",", ":")).encode())
            made["usage"] |= {"input_tokens": size, "output_tokens": body["max_output_tokens"]}
            made["usage"]["input_tokens_details"] = {"cached_tokens": 0, "cache_write_tokens": size}
        details = made["usage"]["input_tokens_details"]
        usage = Usage(
            input_tokens=made["usage"]["input_tokens"],
            output_tokens=made["usage"]["output_tokens"],
            cache_read_tokens=details["cached_tokens"],
            cache_write_tokens=details["cache_write_tokens"],
        )
        till.spent_usd += float(calc_price(usage, MODEL, provider_id="openai").total_price)
        till.charged += 1
        return await self._sent(fault, made, till.callers.get(attempt))

    async def _sent(self, fault: Fault, made: dict[str, object], caller: "asyncio.Task[object] | None") -> Response:
        match fault:
            case "gateway":
                return Response("<html>504</html>", status_code=504, media_type="text/html")
            case "cut":
                return StreamingResponse(_cut_off(json.dumps(made).encode()), media_type="application/json")
            case "hang":
                await asyncio.sleep(_HANG_S)
            case "late":
                await asyncio.sleep(_LATE_S)
            case "killed" if caller is not None:
                caller.cancel()
            case "no_usage":
                made.pop("usage")
            case _:
                pass
        return JSONResponse(made)


class _CutOffError(Exception):
    """Ends an answer in the middle."""


async def _cut_off(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    raise _CutOffError


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the benchmark's own process ends it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.asynccontextmanager
async def serving(model: MeteredModel) -> AsyncIterator[str]:
    """Serve it; yields the base address for the client."""
    app = Starlette(routes=[Route("/v1/responses", model.respond, methods=["POST"])])
    config = uvicorn.Config(app, ws="none", lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
    server = _Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # from now on a call is answered, if not at once
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            await task
