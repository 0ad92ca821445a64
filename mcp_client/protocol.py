"""Converts tools and results of the ``mcp`` library to the types in ``answers.py``. Pure."""

import hashlib
import json
import re

from mcp_types import CallToolResult, EmbeddedResource, ResourceLink, TextContent, TextResourceContents, Tool

from domain.storable_text import storable
from mcp_client.answers import McpAnswer, McpTool

_NAME_MAX = 64  # characters of a function name in the Responses API
_DESCRIPTION_MAX = 1024
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")


def offered_tool(server: str, tool: Tool) -> McpTool:
    """Convert a tool, and give it a unique function name that the Responses API accepts."""
    whole = f"mcp__{server}__{tool.name}"
    function = _NOT_IN_NAMES.sub("_", whole)
    if function != whole or len(whole) > _NAME_MAX:
        digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
        function = f"{function[: _NAME_MAX - len(digest) - 1]}_{digest}"
    schema = {"properties": {}, **storable(tool.input_schema), "type": "object"}
    description = storable(tool.description or tool.title or "")[:_DESCRIPTION_MAX]
    return McpTool(server=server, tool=tool.name, function=function, description=description, input_schema=schema)


def read_answer(result: CallToolResult, bytes_max: int) -> McpAnswer:
    """Convert a result. ``bytes_max`` limits its text in UTF-8."""
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


def _text(block: object) -> str:
    match block:
        case TextContent():
            return block.text
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return resource.text
        case ResourceLink():
            return "\n".join(part for part in (block.title or block.name, block.description, str(block.uri)) if part)
        case _:  # images and sounds have no text
            return ""
