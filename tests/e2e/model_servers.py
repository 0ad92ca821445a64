"""Model servers over real HTTP, which record what they are asked. ``fiction`` always lies, ``Mixed`` sometimes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
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
from local.demo.model.responses_api import build_response, read_request
from tests.e2e.terminal import wait_until

Answer = Callable[[bytes], JSONResponse]


@dataclass
class ModelServer:
    """A server of the Responses API. After ``pause_after`` requests it answers none until ``go_on``."""

    reply: Answer
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    unanswered: int = 0
    paused: threading.Event = field(default_factory=threading.Event)
    pause_after: int | None = None

    async def respond(self, request: Request) -> JSONResponse:
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
        self.paused.clear()


def scripted(raw: bytes) -> JSONResponse:
    """What the demo's model answers."""
    return JSONResponse(answer(raw))


def prose(raw: bytes) -> JSONResponse:
    """Prose instead of JSON, as a small model without structured output answers."""
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


FICTION = ("nonesuch", "fabel", "makeup", "87654", "castle in spain")
"""Words on no page of the demo web. Every lie that is text or a number contains one."""
_INVENTED = {
    "result_id": "r-invented",
    "quote": "Nonesuch Homes, Ignatius Fabel, Owner, fabel@nonesuch.example, 87654 doors",
}
_PEOPLE = ("Ignatius Fabel", "Faith Makeup")


def fiction(raw: bytes) -> JSONResponse:
    """An invented answer that follows the schema."""
    lie = _fiction(raw, _INVENTED)
    return JSONResponse(build_response(read_request(raw), lie))


class Mixed:
    """The demo's model, with fiction mixed into a share of its final answers.

    Every other lie cites real words and claims more than they say; the others cite a real result with invented words.

    Attributes:
        lies: lies so far by role.
    """

    def __init__(self, share: float) -> None:
        self.lies: Counter[str] = Counter()
        self._every = round(1 / share)
        self._answers: Counter[str] = Counter()

    def __call__(self, raw: bytes) -> JSONResponse:
        response = answer(raw)
        role, [first, *_] = response["text"]["format"]["name"], response["output"]
        if first["type"] != "message":
            return JSONResponse(response)
        self._answers[role] += 1
        truth = json.loads(first["content"][0]["text"])
        cited = _first_citation(truth)
        if cited is not None and self._answers[role] % self._every == 1:
            self.lies[role] += 1
            words = cited if self.lies[role] % 2 else cited | {"quote": _INVENTED["quote"]}
            first["content"][0]["text"] = json.dumps(_embroidered(truth, _fiction(raw, words)), ensure_ascii=False)
        return JSONResponse(response)


def _fiction(raw: bytes, cited: dict[str, str]) -> dict[str, Any]:
    """An untrue answer, made from the requested schema. Everything cites the same words."""
    asked = json.loads(raw)
    schema = asked["text"]["format"]["schema"]
    task = json.loads(asked["input"][0]["content"])
    domain = str(task.get("company", {}).get("domain") or "nonesuch.example")

    def lie(part: dict[str, Any], name: str, number: int) -> Any:
        if "$ref" in part:
            return lie(schema["$defs"][part["$ref"].rpartition("/")[2]], name, number)
        if "anyOf" in part:
            return lie(next(one for one in part["anyOf"] if one.get("type") != "null"), name, number)
        if "enum" in part:
            return "vacation_rental" if "vacation_rental" in part["enum"] else part["enum"][0]
        match part["type"]:
            case "object" if set(part["properties"]) == set(cited):
                return cited
            case "object":
                return {key: lie(inner, key, number) for key, inner in part["properties"].items()}
            case "array":
                return [lie(part["items"], name, number) for number in range(len(_PEOPLE))]
            case "string":
                return words(name, number)
            case "boolean":
                return False
            case _:
                return 87654

    def words(name: str, number: int) -> str:
        person = _PEOPLE[number]
        surname = person.split()[1].lower()
        known = {
            "full_name": person,
            "title": ("Owner", "Chief Executive Officer")[number],
            "email": f"{surname}@{domain}",
            "linkedin_url": f"https://www.linkedin.com/in/{surname}",
            "url": f"http://nonesuch{number}.example/",
            "name": ("Nonesuch Homes", "Nonesuch Property Management")[number],
        }
        return known.get(name, f"Nonesuch {name.replace('_', ' ')} of the Castle in Spain, number {number}.")

    answered = lie(schema, "answer", 0)
    assert isinstance(answered, dict)
    return answered


def _embroidered(truth: dict[str, Any], lies: dict[str, Any]) -> dict[str, Any]:
    """A true answer with other facts, more companies and people, and invented addresses."""
    told = lies | {name: [*lies[name], *parts] for name, parts in truth.items() if isinstance(parts, list)}
    for person in truth.get("people", ()):
        for name in ("email", "linkedin_url"):
            person[name] = person[name] or lies["people"][0][name]
        person["email_citation"] = person["email_citation"] or person["citation"]
    return told


def _first_citation(value: object) -> dict[str, str] | None:
    """The first citation of an answer."""
    if isinstance(value, dict) and set(value) == set(_INVENTED):
        return value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for part in parts if (found := _first_citation(part))), None)


def unauthorized(_raw: bytes) -> JSONResponse:
    """A refused key."""
    error = {"message": "Incorrect API key provided.", "type": "invalid_request_error", "code": "invalid_api_key"}
    return JSONResponse({"error": error}, status_code=401)


@contextmanager
def model_server(reply: Answer, *, pause_after: int | None = None) -> Iterator[ModelServer]:
    """A server on a free port, in its own thread."""
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
