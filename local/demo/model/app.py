"""The HTTP server of the scripted model: ``POST /v1/responses`` and ``GET /v1/models``. Errors look like OpenAI's.

It checks requests and passes each to the module of its role. ``responses_api.py`` has the protocol.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from local.demo.model import contacts, discovery, research
from local.demo.model.conversation import Conversation, read_conversation
from local.demo.model.responses_api import ApiError, JsonObject, ToolCall, build_response, read_request

log = structlog.get_logger(__name__)

MODEL_ID = "demo-scripted-1"

Step = Sequence[ToolCall] | JsonObject
ROLES: dict[str, Callable[[Conversation], Step]] = {
    "discovery": discovery.next_step,
    "company_research": research.next_step,
    "contact_research": contacts.next_step,
}
"""Output schema name → the function that takes the next step of such a conversation."""


def create_app() -> Starlette:
    """Return the ASGI app. Clients use ``base_url=http://host:port/v1``."""
    return Starlette(
        routes=[
            Route("/v1/responses", _create_response, methods=["POST"]),
            Route("/v1/models", _list_models, methods=["GET"]),
            Route("/v1/models/{model_id:path}", _get_model, methods=["GET"]),
        ],
        exception_handlers={ApiError: _refuse, HTTPException: _refuse},
    )


def answer(raw: bytes) -> JsonObject:
    """Answer one request body with a ``Response`` object.

    Raises:
        ApiError: the request is malformed or asks for an unknown schema.
    """
    request = read_request(raw)
    next_step = ROLES.get(request.schema_name)
    if next_step is None:
        raise ApiError(
            f"This demo model does not know the output schema '{request.schema_name}'; it knows: {', '.join(ROLES)}.",
            param="text.format.name",
            code="unsupported_value",
        )
    conversation = read_conversation(request.items, tools=request.tools)
    if conversation.task_name != request.schema_name:
        raise ApiError(
            f"The task is '{conversation.task_name}' but the output schema is '{request.schema_name}'.", param="input"
        )
    step = next_step(conversation)
    if not isinstance(step, dict) and not request.parallel:
        step = step[:1]
    return build_response(request, step)


async def _create_response(request: Request) -> JSONResponse:
    _authorize(request)
    started_s = time.perf_counter()
    response = answer(await request.body())
    log.debug(
        "demo_model_answered",
        schema=response["text"]["format"]["name"],
        output=[item["type"] for item in response["output"]],
        total_tokens=response["usage"]["total_tokens"],
        elapsed_s=round(time.perf_counter() - started_s, 4),
    )
    return JSONResponse(response, headers=_headers())


async def _list_models(request: Request) -> JSONResponse:
    _authorize(request)
    return JSONResponse({"object": "list", "data": [_model_card(MODEL_ID)]}, headers=_headers())


async def _get_model(request: Request) -> JSONResponse:
    _authorize(request)
    return JSONResponse(_model_card(request.path_params["model_id"]), headers=_headers())


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, HTTPException):
        text = f"Invalid URL ({request.method} {request.url.path})" if error.status_code == 404 else error.detail
        error = ApiError(text, status=error.status_code)
    if not isinstance(error, ApiError):
        raise error
    log.info("demo_model_refused", status=error.status, message=error.message, param=error.param)
    return JSONResponse(error.body(), status_code=error.status, headers=_headers())


def _authorize(request: Request) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise ApiError(
            "You didn't provide an API key. Provide it in an Authorization header using Bearer auth.",
            status=401,
            code="invalid_api_key",
        )


def _headers() -> dict[str, str]:
    return {"x-demo-model": "1", "x-request-id": f"req_{secrets.token_hex(16)}"}


def _model_card(model_id: str) -> JsonObject:
    # Any model name is accepted.
    return {"id": model_id, "object": "model", "created": 1767225600, "owned_by": "pm-pipeline-demo"}
