"""What a tool of an MCP server says of itself and answers, in our terms. Pure: models of the protocol in, ours out."""

import hashlib
import json
import re
from typing import Any, Literal

from mcp_types import CallToolResult, EmbeddedResource, ResourceLink, TextContent, TextResourceContents, Tool
from pydantic import BaseModel, ConfigDict

from domain.storable import storable

TRANSIENT_REASONS = frozenset({"connection_lost", "unavailable"})
"""Reasons that say nothing about the question asked: the same question may be asked again at once."""

_NAME_MAX = 64  # characters of a function name in the Responses API
_DESCRIPTION_MAX = 1024
_SNIPPET_MAX = 2000
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_ADDRESS = re.compile(r"""https?://[^\s<>"'`\])}|\\]+""", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")


class McpTool(BaseModel):
    """One tool as a model is offered it.

    Attributes:
        function: name of the function, ``mcp__<server>__<tool>``; at most 64 letters, digits, ``_`` and ``-``.
        input_schema: JSON schema of the arguments, as the server gives it; of type ``object``.
    """

    model_config = ConfigDict(frozen=True)

    server: str
    tool: str
    function: str
    description: str
    input_schema: dict[str, Any]


class McpAnswer(BaseModel):
    """What came of a call.

    Attributes:
        status: ``ok`` holds text; ``empty`` has none; ``error`` says why in ``reason``, and in ``text`` in the server's words.
        reason: ``no_text``, ``tool_error`` (the tool says that it failed), ``refused`` (the server does not take the call),
            ``bad_answer``, ``too_large``, ``timeout``, ``connection_lost`` or ``unavailable``.
    """

    model_config = ConfigDict(frozen=True)

    status: Literal["ok", "empty", "error"]
    reason: str | None = None
    text: str = ""


def offered_tool(server: str, tool: Tool) -> McpTool:
    """A server's tool as a function definition needs it."""
    whole = f"mcp__{server}__{tool.name}"
    function = _NOT_IN_NAMES.sub("_", whole)
    if function != whole or len(whole) > _NAME_MAX:
        mark = hashlib.sha256(whole.encode()).hexdigest()[:8]  # two names must not become one
        function = f"{function[: _NAME_MAX - len(mark) - 1]}_{mark}"
    schema = {"properties": {}, **storable(tool.input_schema), "type": "object"}
    description = storable(tool.description or tool.title or "")[:_DESCRIPTION_MAX]
    return McpTool(server=server, tool=tool.name, function=function, description=description, input_schema=schema)


def read_answer(result: CallToolResult, bytes_max: int) -> McpAnswer:
    """The text of a result and what it amounts to; ``bytes_max`` bounds the text, in UTF-8."""
    texts = [_text(block) for block in result.content]
    text = storable("\n\n".join(part for part in texts if part.strip()))
    if not text and result.structured_content is not None:
        text = storable(json.dumps(result.structured_content, ensure_ascii=False))
    if len(text.encode()) > bytes_max:
        return McpAnswer(status="error", reason="too_large")
    if result.is_error:
        return McpAnswer(status="error", reason="tool_error", text=text)
    if not text.strip():
        return McpAnswer(status="empty", reason="no_text")
    return McpAnswer(status="ok", text=text)


def addresses_in(text: str) -> list[str]:
    """The http addresses that stand in a text, each once, in order; punctuation that ends a sentence is not a part of one."""
    found = (match[0].rstrip(".,;:!?*_") for match in _ADDRESS.finditer(text))
    return list(dict.fromkeys(address for address in found if not address.endswith("//")))


def sources(text: str, args: dict[str, Any]) -> list[dict[str, str]]:
    """Which words of an answer belong to which address, in the shape of search results (url, title, snippet).

    A call that names one page (an argument ``url``) is about that page; otherwise a paragraph with just one address
    belongs to it, and one with several to none: a wrong source would be worse than no source.
    """
    page = args.get("url")
    if isinstance(page, str) and page.lower().startswith(("http://", "https://")):
        return [{"url": storable(page), "title": "", "snippet": text}]
    found: list[dict[str, str]] = []
    for paragraph in _BLANK_LINE.split(text):
        addresses = addresses_in(paragraph)
        if len(addresses) == 1:
            found.append({"url": addresses[0], "title": "", "snippet": paragraph[:_SNIPPET_MAX]})
    return found


def _text(block: object) -> str:
    match block:
        case TextContent():
            return block.text
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return resource.text
        case ResourceLink():
            return "\n".join(part for part in (block.title or block.name, block.description, str(block.uri)) if part)
        case _:  # pictures and sounds hold no words that could be quoted
            return ""
