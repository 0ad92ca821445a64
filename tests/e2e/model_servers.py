"""Model servers of our own, as somebody else's would be set: real HTTP on a port of their own, and a count of what was asked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from local.demo.model.app import answer
from tests.e2e.terminal import wait_until

Answer = Callable[[bytes], JSONResponse]


@dataclass
class ModelServer:
    """A server that speaks the Responses API. ``pause`` makes it hear requests and answer none until ``go_on``."""

    reply: Answer
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    unanswered: int = 0
    paused: threading.Event = field(default_factory=threading.Event)
    pause_after: int | None = None

    async def respond(self, request: Request) -> JSONResponse:
        """Answer a request as soon as the server is not paused."""
        raw = await request.body()
        self.asked.append(json.loads(raw))
        if self.pause_after is not None and len(self.asked) > self.pause_after:
            self.pause_after = None
            self.paused.set()
        self.unanswered += 1
        try:
            while self.paused.is_set():
                await asyncio.sleep(0.02)
                if await request.is_disconnected():
                    break
            return self.reply(raw)
        finally:
            self.unanswered -= 1

    def go_on(self) -> None:
        """Answer again."""
        self.paused.clear()


def scripted(raw: bytes) -> JSONResponse:
    """What the demo's model answers."""
    return JSONResponse(answer(raw))


def prose(raw: bytes) -> JSONResponse:
    """Friendly words whatever the schema says, as a small model without structured output gives them."""
    words = "Certainly! Here are some great companies for you: Sunny Homes, Best Rentals and many more. Good luck!"
    asked = json.loads(raw)
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": words, "annotations": []}],
    }
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 120,
    }
    return JSONResponse(
        {
            "id": "resp_1",
            "object": "response",
            "created_at": 1767225600,
            "status": "completed",
            "model": asked["model"],
            "output": [message],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": usage,
        }
    )


def unauthorized(_raw: bytes) -> JSONResponse:
    """A key that is not known."""
    error = {"message": "Incorrect API key provided.", "type": "invalid_request_error", "code": "invalid_api_key"}
    return JSONResponse({"error": error}, status_code=401)


@contextmanager
def model_server(reply: Answer, *, pause_after: int | None = None) -> Iterator[ModelServer]:
    """A server on a free port, in a thread of its own."""
    model = ModelServer(reply, pause_after=pause_after)
    respond: Callable[[Request], Awaitable[JSONResponse]] = model.respond
    app = Starlette(routes=[Route("/v1/responses", respond, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, name="model-server", daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the model server listens")
    port = server.servers[0].sockets[0].getsockname()[1]
    model.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield model
    finally:
        model.go_on()
        server.should_exit = True
        thread.join(timeout=10)
