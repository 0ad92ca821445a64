"""The demo model behind a till: every answer is charged when it is made, whether or not anybody receives it.

The till holds what a provider's invoice would say. Prices are looked up here, not with the code under test.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn
from genai_prices import Usage, calc_price
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from local.demo.model.app import answer

MODEL = "gpt-5.6-luna"  # its list price has everything: tiers, cheaper cache reads, dearer cache writes
Fault = Literal["none", "refused", "pause", "failed", "gateway", "cut", "hang", "late", "killed", "no_usage"]
UNCHARGED: dict[Fault, int] = {"refused": 429, "pause": 429, "failed": 500}
_LATE_S = 0.3
_HANG_S = 60.0


@dataclass
class Till:
    """One run's account with the provider.

    Attributes:
        faults: how its next calls fail, in order; all later calls succeed.
        dearest: each call costs as much as it can: a token per byte, all written to the cache, and the longest answer.
        callers: the tasks of its attempts, by number. A call can kill its caller.
        met: how its calls failed.
    """

    faults: list[Fault]
    dearest: bool
    callers: dict[str, "asyncio.Task[Any]"] = field(default_factory=dict)
    spent_usd: float = 0.0
    charged: int = 0
    met: list[Fault] = field(default_factory=list)


class MeteredModel:
    """The server. A run's calls carry ``<run>/<attempt>`` as their key."""

    def __init__(self) -> None:
        self.tills: dict[str, Till] = {}

    async def respond(self, request: Request) -> Response:
        run, _, attempt = request.headers["authorization"].removeprefix("Bearer ").partition("/")
        till = self.tills[run]
        fault = till.faults.pop(0) if till.faults else "none"
        till.met.append(fault)
        if fault in UNCHARGED:
            headers = {"retry-after": "0.2"} if fault == "pause" else {}
            return JSONResponse({"error": {"message": fault, "code": None}}, UNCHARGED[fault], headers)
        raw = await request.body()
        made = answer(raw)
        if till.dearest:
            made["usage"] |= _dearest_usage(json.loads(raw))
        till.spent_usd += _price_usd(made["usage"])
        till.charged += 1
        return await _send(fault, made, till.callers.get(attempt))


def _dearest_usage(body: dict[str, Any]) -> dict[str, Any]:
    read = [body.get(name) for name in ("instructions", "input", "tools", "text")]
    size = len(json.dumps(read, ensure_ascii=False, separators=(",", ":")).encode())
    details = {"cached_tokens": 0, "cache_write_tokens": size}
    return {"input_tokens": size, "output_tokens": body["max_output_tokens"], "input_tokens_details": details}


def _price_usd(used: dict[str, Any]) -> float:
    usage = Usage(
        input_tokens=used["input_tokens"],
        output_tokens=used["output_tokens"],
        cache_read_tokens=used["input_tokens_details"]["cached_tokens"],
        cache_write_tokens=used["input_tokens_details"]["cache_write_tokens"],
    )
    return float(calc_price(usage, MODEL, provider_id="openai").total_price)


async def _send(fault: Fault, made: dict[str, Any], caller: "asyncio.Task[Any] | None") -> Response:
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
            del made["usage"]
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
async def serve(model: MeteredModel) -> AsyncIterator[str]:
    """Yields the base address for the client."""
    app = Starlette(routes=[Route("/v1/responses", model.respond, methods=["POST"])])
    server = _Server(uvicorn.Config(app, ws="none", lifespan="off", log_level="critical", timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            await task
