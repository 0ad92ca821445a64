"""A tool of an MCP server and its answer in our terms, and which addresses its words belong to. Pure.

Not here: reading the protocol's own models (``protocol.py``), whose library takes a second to import.
"""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from domain.storable_text import storable

TRANSIENT_REASONS = frozenset({"connection_lost", "unavailable", "rate_limited"})
"""Reasons that say nothing about the question asked: the same question may be asked again at once."""

_SNIPPET_MAX = 2000
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
            ``bad_answer``, ``too_large``, ``timeout``, ``rate_limited``, ``connection_lost`` or ``unavailable``.
        retry_after_s: the pause that a server asks for that was asked too often.
    """

    model_config = ConfigDict(frozen=True)

    status: Literal["ok", "empty", "error"]
    reason: str | None = None
    text: str = ""
    retry_after_s: float | None = None


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
