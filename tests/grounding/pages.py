"""Stored pages of a fictional company, and claims about them."""

from datetime import UTC, datetime
from typing import Any

from store.tools.tool_results import ToolResult

ACME = frozenset({"acme.example"})


def page(text: str, url: str = "https://acme.example/", result_id: str = "own", **more: Any) -> ToolResult:
    fields: dict[str, Any] = {
        "result_id": result_id,
        "tool": "fetch_page",
        "args": {"url": url},
        "status": "ok",
        "payload": {"final_url": url},
        "text": text,
        "fetched_at": datetime(2031, 1, 1, tzinfo=UTC),
    }
    return ToolResult(**(fields | more))


def cite(quote: str, result_id: str = "own") -> dict[str, str]:
    return {"result_id": result_id, "quote": quote}


def claim(value: object, quote: str, result_id: str = "own") -> dict[str, Any]:
    return {"value": value, "citation": cite(quote, result_id)}


def found(name: str, title: str, quote: str | None = None, **more: Any) -> dict[str, Any]:
    """A person of the contact agent's answer; ``quote`` proves name and title."""
    return {
        **dict.fromkeys(("email", "phone", "linkedin_url", "email_citation", "note")),
        "full_name": name,
        "title": title,
        "citation": cite(quote or f"{name}, {title}"),
        **more,
    }


def with_email(person: dict[str, Any], email: str | None, quote: str | None = None) -> dict[str, Any]:
    return {**person, "email": email, "email_citation": cite(quote or email or "")}
