"""An MCP tool and its answer in our own types, and the source of an answer's text. Pure.

Imports nothing of the ``mcp`` library, which takes a second to load.
"""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from domain.storable_text import storable

TRANSIENT_REASONS = frozenset({"connection_lost", "unavailable", "rate_limited"})
"""The server failed, not the question: it may be asked again at once."""

_SNIPPET_MAX = 2000
_ADDRESS = re.compile(r"""https?://[^\s<>"'`\])}|\\]+""", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")


class McpTool(BaseModel):
    """One tool as it is offered to a model.

    Attributes:
        function: ``mcp__<server>__<tool>``; at most 64 letters, digits, ``_`` and ``-``.
        input_schema: the server's JSON schema of the arguments, of type ``object``.
    """

    model_config = ConfigDict(frozen=True)

    server: str
    tool: str
    function: str
    description: str
    input_schema: dict[str, Any]


class McpAnswer(BaseModel):
    """The outcome of a call.

    Attributes:
        reason: ``no_text``, ``tool_error`` (the tool reports a failure), ``refused`` (the server rejects the call),
            ``bad_answer``, ``too_large``, ``timeout``, ``rate_limited``, ``connection_lost`` or ``unavailable``.
        text: the answer, or the server's error message.
        retry_after_s: the pause that a rate-limited server asks for.
    """

    model_config = ConfigDict(frozen=True)

    status: Literal["ok", "empty", "error"]
    reason: str | None = None
    text: str = ""
    retry_after_s: float | None = None


def addresses_in(text: str) -> list[str]:
    """The distinct http addresses of a text, in order, without the punctuation that ends a sentence."""
    found = (match[0].rstrip(".,;:!?*_") for match in _ADDRESS.finditer(text))
    return list(dict.fromkeys(address for address in found if not address.endswith("//")))


def sources(text: str, args: dict[str, Any]) -> list[dict[str, str]]:
    """Search results (url, title, snippet) that say which address each part of an answer comes from.

    A call with an argument ``url`` is about that page. Otherwise a paragraph belongs to the one address it names;
    with several addresses the source is unclear, and a wrong source would be worse than none.
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
