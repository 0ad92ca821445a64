"""Types for MCP tools and answers, and finding the sources of an answer. Pure.

Does not import the ``mcp`` library, which takes a second to load.
"""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from domain.storable_text import storable

TRANSIENT_REASONS = frozenset({"connection_lost", "unavailable", "rate_limited"})
"""The server failed before it could answer, so the same call may be made again at once."""

_SNIPPET_MAX = 2000
_ADDRESS = re.compile(r"""https?://[^\s<>"'`\])}|\\]+""", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")


class McpTool(BaseModel):
    """One tool as the model sees it.

    Attributes:
        function: ``mcp__<server>__<tool>``, at most 64 letters, digits, ``_`` and ``-``.
        input_schema: the server's JSON schema of the arguments.
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
        reason: ``no_text``, ``tool_error`` (the tool failed), ``refused`` (the server rejected the call), ``bad_answer``,
            ``too_large``, ``timeout``, ``rate_limited``, ``connection_lost`` or ``unavailable``.
        text: the answer, or the server's error message.
        retry_after_s: the pause that a rate-limited server asks for.
    """

    model_config = ConfigDict(frozen=True)

    status: Literal["ok", "empty", "error"]
    reason: str | None = None
    text: str = ""
    retry_after_s: float | None = None


def addresses_in(text: str) -> list[str]:
    """Return the distinct http addresses in a text, without trailing punctuation."""
    found = (match[0].rstrip(".,;:!?*_") for match in _ADDRESS.finditer(text))
    return list(dict.fromkeys(address for address in found if not address.endswith("//")))


def sources(text: str, args: dict[str, Any]) -> list[dict[str, str]]:
    """Return the parts of an answer whose source address is known, as search results (url, title, snippet).

    If the call has an argument ``url``, the whole answer comes from that page. Otherwise a paragraph that names exactly one
    address comes from there.
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
