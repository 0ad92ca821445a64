"""A model server that gives the answers of a test in order, over HTTP. It keeps the requests that it gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import openai
from pydantic import SecretStr

from agents.loop import AgentAnswer, AgentRunner, FollowUpRule
from agents.role import AgentRole
from agents.roles import company_research
from settings import Settings
from store.database import Database
from tests.conftest import model_client
from tests.http_server import HttpServer, Reply, Request, json_reply, serving
from web.gateway import ToolGateway

INPUT_TOKENS, OUTPUT_TOKENS = 1000, 100
EMPTY_RESEARCH: dict[str, Any] = {
    **dict.fromkeys(company_research.ResearchOutput.model_fields),
    "associations": [],
    "places_served": [],
}


def says(text: str | dict[str, Any]) -> Reply:
    """A final answer: prose, or JSON."""
    written = text if isinstance(text, str) else json.dumps(text)
    return _response([_message({"type": "output_text", "text": written, "annotations": []})])


def cut_off(text: str) -> Reply:
    """An answer that reached ``max_output_tokens``."""
    return _response(
        [{**_message({"type": "output_text", "text": text, "annotations": []}), "status": "incomplete"}],
        status="incomplete",
        incomplete_details={"reason": "max_output_tokens"},
    )


def refuses() -> Reply:
    """The model declines."""
    return _response([_message({"type": "refusal", "refusal": "I cannot help with that."})])


def calls(*wanted: tuple[str, dict[str, Any] | str]) -> Reply:
    """Tool calls, all of one turn."""
    return _response(
        [
            {
                "type": "function_call",
                "id": f"fc_{number}",
                "call_id": f"call_{number}",
                "name": name,
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
                "status": "completed",
            }
            for number, (name, arguments) in enumerate(wanted)
        ]
    )


def opens(url: str) -> Reply:
    """A turn that reads one page."""
    return calls(("fetch_page", {"url": url}))


async def held(reply: Reply, until: asyncio.Event) -> Reply:
    """An answer that waits for an event."""
    await until.wait()
    return reply


def fails(status: int, code: str | None = None, **headers: str) -> Reply:
    """An error as the API reports it."""
    error = {"message": "no", "type": "error", "param": None, "code": code}
    return json_reply({"error": error}, status, **{name.replace("_", "-"): value for name, value in headers.items()})


def _message(part: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


def _response(output: list[dict[str, Any]], **more: Any) -> Reply:
    usage = {
        "input_tokens": INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": OUTPUT_TOKENS,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    }
    return json_reply(
        {
            "id": "resp_1",
            "object": "response",
            "created_at": 1767225600,
            "model": "scripted",
            "status": "completed",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": usage,
            **more,
        }
    )


@dataclass
class Model:
    """A running server and the runners that ask it."""

    server: HttpServer
    script: list[Reply | Awaitable[Reply]]
    _new_runner: Callable[[], AgentRunner] = field(repr=False)

    @property
    def bought(self) -> int:
        """Requests that reached the server."""
        return len(self.server.requests)

    def asked(self, number: int) -> dict[str, Any]:
        """The body of a request, the first being 0, the last -1."""
        body: dict[str, Any] = self.server.requests[number].json()
        return body

    def tool_outputs(self, number: int = -1) -> list[dict[str, Any]]:
        """All tool outputs in a request."""
        items = self.asked(number)["input"]
        return [json.loads(item["output"]) for item in items if item.get("type") == "function_call_output"]

    def new_worker(self) -> AgentRunner:
        """A runner that shares only the database and the servers with the others."""
        return self._new_runner()

    async def run(
        self,
        run_id: UUID,
        *,
        role: AgentRole = company_research.ROLE,
        runner: AgentRunner | None = None,
        allowed: tuple[str, ...] = (),
        preload: tuple[str, ...] = (),
        follow_up: FollowUpRule = lambda answer, results: None,
        subject: str = "company 1",
        **task: Any,
    ) -> AgentAnswer:
        """One agent call."""
        return await (runner or self.new_worker()).run(
            role,
            run_id,
            subject,
            {"task": role.name, **task},
            allowed_urls=allowed,
            preload_urls=preload,
            follow_up=follow_up,
        )


@asynccontextmanager
async def scripted(
    database: Database,
    gateway: ToolGateway,
    settings: Settings,
    *script: Reply | Awaitable[Reply],
    timeout_s: float = 1.0,
) -> AsyncIterator[Model]:
    """Serve the answers in order; a request beyond the last is answered with HTTP 500."""
    left = list(script)

    def answer(request: Request) -> Reply | Awaitable[Reply]:
        assert (request.method, request.target) == ("POST", "/v1/responses")
        return left.pop(0) if left else fails(500)

    clients: list[openai.AsyncOpenAI] = []
    async with serving(answer) as server:
        changed = settings.model_copy(
            update={
                "openai_base_url": f"{server.url}/v1",
                "openai_api_key": SecretStr("scripted"),
                "openai_model": "scripted",
                "model_timeout_s": timeout_s,
            }
        )

        def new_runner() -> AgentRunner:
            clients.append(model_client(changed))
            return AgentRunner(clients[-1], gateway, database, changed)

        yield Model(server, left, new_runner)
        for client in clients:
            await client.close()
