"""The protocol of OpenAI's Responses API: reads requests, builds responses and errors. Stateless.

Role modules decide the content, and ``app.py`` serves HTTP. Source: OpenAI API reference, "Create a model response", and
the types of the ``openai`` 3.54 client.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local.demo.model.strict_schema import StrictSchemaError, check_strict

JsonObject = dict[str, Any]

CHARACTERS_PER_TOKEN = 4
"""OpenAI's rule of thumb for English text; good enough for a demo's cost ledger."""
CACHE_BLOCK_TOKENS = 128
CACHE_MIN_TOKENS = 1024
"""Prompt caching starts at 1,024 tokens and grows in steps of 128 (OpenAI guide, "Prompt caching")."""

MESSAGE_ROLES = ("user", "assistant", "system", "developer")
INPUT_ITEM_TYPES = ("message", "function_call", "function_call_output", "reasoning")
_UNSUPPORTED = ("previous_response_id", "conversation", "background", "prompt")


class ApiError(Exception):
    """An error in the API's words.

    Attributes:
        status: HTTP status.
        type: OpenAI's error class, such as ``invalid_request_error``.
        param: the invalid parameter, or None.
        code: OpenAI's error code, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        error_type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = error_type
        self.param = param
        self.code = code

    def body(self) -> JsonObject:
        """The JSON body: ``{"error": {"message", "type", "param", "code"}}``."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


@dataclass(frozen=True)
class ModelRequest:
    """A valid request.

    Attributes:
        model: the requested name, returned as it is.
        schema_name: ``text.format.name``, which selects the role.
        items: the input items, each with a ``type``.
        tools: function tools that may be called now; none if ``tool_choice`` is ``none``.
        parallel: whether a turn may have several calls.
        body: the request as sent. The response repeats parts of it.
    """

    model: str
    schema_name: str
    items: tuple[JsonObject, ...]
    tools: frozenset[str]
    parallel: bool
    body: JsonObject


@dataclass(frozen=True)
class ToolCall:
    """A tool call. ``arguments`` is a JSON object."""

    name: str
    arguments: JsonObject


def read_request(raw: bytes) -> ModelRequest:
    """Parse and check a request body.

    Raises:
        ApiError: 400 for anything the API would refuse. It names the parameter.
    """
    body = _json_object(raw)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise _missing("model")
    if body.get("stream"):
        raise ApiError("Streaming is not supported by this model.", param="stream", code="unsupported_value")
    for name in _UNSUPPORTED:
        if body.get(name):
            raise ApiError(f"Unsupported parameter: '{name}'.", param=name, code="unsupported_parameter")
    tools = _tool_names(body.get("tools") or [])
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, str) and choice not in ("auto", "none", "required"):
        raise ApiError(f"Invalid value: '{choice}'.", param="tool_choice", code="invalid_value")
    return ModelRequest(
        model=model,
        schema_name=_schema_name(body),
        items=_input_items(body.get("input")),
        tools=frozenset() if choice == "none" else tools,
        parallel=body.get("parallel_tool_calls") is not False,
        body=body,
    )


def build_response(request: ModelRequest, output: Sequence[ToolCall] | JsonObject) -> JsonObject:
    """Build the ``Response`` for tool calls (a sequence) or a final answer (a JSON object)."""
    items = [_message_item(output)] if isinstance(output, dict) else [_call_item(call) for call in output]
    body = request.body
    now_s = int(time.time())
    return {
        "id": f"resp_{secrets.token_hex(24)}",
        "object": "response",
        "created_at": now_s,
        "completed_at": now_s,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "metadata": body.get("metadata") or {},
        "model": request.model,
        "output": items,
        "parallel_tool_calls": request.parallel,
        "previous_response_id": None,
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default",
        "store": bool(body.get("store", True)),
        "temperature": body.get("temperature", 1.0),
        "text": body["text"],
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_logprobs": 0,
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation") or "disabled",
        "usage": _usage(request, items),
        "user": body.get("user"),
    }


def _json_object(raw: bytes) -> JsonObject:
    try:
        body = json.loads(raw)
    except ValueError as error:  # bad JSON or bad UTF-8
        raise ApiError("We could not parse the JSON body of your request.") from error
    if not isinstance(body, dict):
        raise ApiError("Invalid body: expected a JSON object.", code="invalid_type")
    return body


def _missing(param: str) -> ApiError:
    return ApiError(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def _wrong_type(param: str, expected: str) -> ApiError:
    return ApiError(f"Invalid type for '{param}': expected {expected}.", param=param, code="invalid_type")


def _tool_names(tools: object) -> frozenset[str]:
    if not isinstance(tools, list):
        raise _wrong_type("tools", "an array of objects")
    names: set[str] = set()
    for position, tool in enumerate(tools):
        param = f"tools[{position}]"
        if not isinstance(tool, dict):
            raise _wrong_type(param, "an object")
        if tool.get("type") != "function":
            raise ApiError(
                f"Invalid value: '{tool.get('type')}'. Supported values are: 'function'.",
                param=f"{param}.type",
                code="invalid_value",
            )
        if not isinstance(tool.get("name"), str):
            raise _missing(f"{param}.name")
        if tool.get("strict"):
            owner = f"function '{tool['name']}'"
            _strict(tool.get("parameters"), owner, f"{param}.parameters", "invalid_function_parameters")
        names.add(tool["name"])
    return frozenset(names)


def _schema_name(body: JsonObject) -> str:
    text = body.get("text")
    text_format = text.get("format") if isinstance(text, dict) else None
    if not isinstance(text_format, dict):
        raise _missing("text.format")
    if text_format.get("type") != "json_schema":
        raise ApiError(
            "This model answers with structured output only: text.format.type must be 'json_schema'.",
            param="text.format.type",
            code="unsupported_value",
        )
    for key, kind in (("name", str), ("schema", dict)):
        if not isinstance(text_format.get(key), kind):
            raise _missing(f"text.format.{key}")
    name = str(text_format["name"])
    if text_format.get("strict"):
        _strict(text_format["schema"], f"response_format '{name}'", "text.format.schema", "invalid_json_schema")
    return name


def _strict(schema: object, owner: str, param: str, code: str) -> None:
    try:
        check_strict(schema)
    except StrictSchemaError as error:
        raise ApiError(f"Invalid schema for {owner}: {error}", param=param, code=code) from error


def _input_items(value: object) -> tuple[JsonObject, ...]:
    if isinstance(value, str) and value:
        value = [{"type": "message", "role": "user", "content": value}]
    if not value:
        raise _missing("input")
    if not isinstance(value, list):
        raise _wrong_type("input", "a string or an array of objects")
    items: list[JsonObject] = []
    for position, item in enumerate(value):
        if not isinstance(item, dict):
            raise _wrong_type(f"input[{position}]", "an object")
        items.append(_input_item(item, f"input[{position}]"))
    _check_call_pairs(items)
    return tuple(items)


def _input_item(item: JsonObject, param: str) -> JsonObject:
    kind = item.get("type", "message" if "role" in item else None)
    if kind is None:
        raise _missing(f"{param}.type")
    if kind not in INPUT_ITEM_TYPES:
        supported = ", ".join(f"'{name}'" for name in INPUT_ITEM_TYPES)
        raise ApiError(
            f"Invalid value: '{kind}'. Supported values are: {supported}.", param=f"{param}.type", code="invalid_value"
        )
    required = {
        "message": ("content",),
        "function_call": ("call_id", "name", "arguments"),
        "function_call_output": ("call_id", "output"),
        "reasoning": (),
    }[kind]
    for key in required:
        if key not in item:
            raise _missing(f"{param}.{key}")
        wanted = (str, list) if key in ("content", "output") else (str,)
        if not isinstance(item[key], wanted):
            raise _wrong_type(f"{param}.{key}", "a string")
    if kind == "message" and item.get("role") not in MESSAGE_ROLES:
        raise ApiError(f"Invalid value: '{item.get('role')}'.", param=f"{param}.role", code="invalid_value")
    return {**item, "type": kind}


def _check_call_pairs(items: Sequence[JsonObject]) -> None:
    """Check that every output follows its call and every call has an output, like the real API."""
    open_calls: dict[str, None] = {}
    for item in items:
        if item["type"] == "function_call":
            open_calls[item["call_id"]] = None
        elif item["type"] == "function_call_output":
            if item["call_id"] not in open_calls:
                raise ApiError(
                    f"No tool call found for function call output with call_id {item['call_id']}.", param="input"
                )
            del open_calls[item["call_id"]]
    if open_calls:
        raise ApiError(f"No tool output found for function call {next(iter(open_calls))}.", param="input")


def _call_item(call: ToolCall) -> JsonObject:
    return {
        "type": "function_call",
        "id": f"fc_{secrets.token_hex(24)}",
        "call_id": f"call_{secrets.token_hex(12)}",
        "name": call.name,
        "arguments": json.dumps(call.arguments, ensure_ascii=False),
        "status": "completed",
    }


def _message_item(answer: JsonObject) -> JsonObject:
    text = json.dumps(answer, ensure_ascii=False)
    return {
        "type": "message",
        "id": f"msg_{secrets.token_hex(24)}",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    }


def _usage(request: ModelRequest, output: Sequence[JsonObject]) -> JsonObject:
    body = request.body
    head = _tokens([body.get("instructions") or "", body.get("tools") or [], body["text"]["format"]])
    sizes = [_tokens(item) for item in request.items]
    input_tokens = head + sum(sizes)
    output_tokens = sum(_tokens(item.get("content") or [item["name"], item["arguments"]]) for item in output)
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": _cached_tokens(request, head, sizes), "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }


def _cached_tokens(request: ModelRequest, head: int, sizes: Sequence[int]) -> int:
    """Count the prefix that the previous turn sent: everything before the model's last items."""
    position = len(sizes) - 1
    while position >= 0 and request.items[position]["type"] != "function_call":
        position -= 1
    while position >= 0 and request.items[position]["type"] in ("function_call", "reasoning"):
        position -= 1
    prefix = head + sum(sizes[: position + 1]) if position >= 0 else 0
    return prefix // CACHE_BLOCK_TOKENS * CACHE_BLOCK_TOKENS if prefix >= CACHE_MIN_TOKENS else 0


def _tokens(value: object) -> int:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return -(-len(text) // CHARACTERS_PER_TOKEN)
