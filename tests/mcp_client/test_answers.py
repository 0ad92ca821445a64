"""MCP tools and answers become requests, rows and evidence, whatever they contain."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
)

from mcp_client.answers import McpAnswer, addresses_in, sources
from mcp_client.protocol import offered_tool, read_answer

PICTURE = ImageContent(type="image", data="AAAA", mime_type="image/png")


def text(*parts: str) -> list[Any]:
    return [TextContent(type="text", text=part) for part in parts]


def answer(content: list[Any], **fields: Any) -> McpAnswer:
    return read_answer(CallToolResult(content=content, **fields), bytes_max=1000)


def test_a_tool_is_offered_with_its_name_and_schema() -> None:
    schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    tool = offered_tool("web", Tool(name="search", description="Searches.", input_schema=schema))
    assert (tool.function, tool.description, tool.input_schema) == ("mcp__web__search", "Searches.", schema)


def test_a_schema_without_properties_gets_empty_ones() -> None:
    assert offered_tool("web", Tool(name="now", input_schema={"type": "object"})).input_schema["properties"] == {}


@given(st.text(min_size=1, max_size=128))
def test_every_tool_name_becomes_a_valid_function_name(name: str) -> None:
    function = offered_tool("web", Tool(name=name, input_schema={"type": "object"})).function
    assert re.fullmatch(r"mcp__web__[A-Za-z0-9_-]+", function)
    assert len(function) <= 64


def test_two_tools_never_share_a_function_name() -> None:
    names = ["find.in", "find/in", "find_in", "x" * 90 + "a", "x" * 90 + "b"]
    functions = {offered_tool("web", Tool(name=name, input_schema={"type": "object"})).function for name in names}
    assert len(functions) == len(names)


def test_all_text_is_kept_and_pictures_are_skipped() -> None:
    page = TextResourceContents(uri="file:///a", text="a resource")
    blob = EmbeddedResource(type="resource", resource=BlobResourceContents(uri="file:///b", blob="AAAA"))
    link = ResourceLink(type="resource_link", name="n", title="Acme", uri="http://acme.example/", description="Homes")
    content = [*text("one", " "), PICTURE, EmbeddedResource(type="resource", resource=page), blob, link]
    assert answer(content) == McpAnswer(status="ok", text="one\n\na resource\n\nAcme\nHomes\nhttp://acme.example/")


def test_structured_content_replaces_missing_text_only() -> None:
    assert answer([], structured_content={"units": 1200}).text == '{"units": 1200}'
    assert answer(text("1,200 units"), structured_content={"units": 1200}).text == "1,200 units"


@pytest.mark.parametrize("content", [[], [PICTURE], text(" \n")], ids=["nothing", "a picture", "blanks"])
def test_an_answer_without_text_is_empty(content: list[Any]) -> None:
    assert answer(content) == McpAnswer(status="empty", reason="no_text")


def test_a_tool_error_keeps_its_text() -> None:
    assert answer(text("no such state"), is_error=True) == McpAnswer(
        status="error", reason="tool_error", text="no such state"
    )


def test_the_size_limit_counts_bytes() -> None:
    assert answer(text("é" * 500)).status == "ok"
    assert answer(text("é" * 501)) == McpAnswer(status="error", reason="too_large")


@given(st.text(alphabet=st.characters(), max_size=30))
def test_the_text_can_be_stored(words: str) -> None:
    kept = answer(text(f"a{words}")).text
    assert "\x00" not in kept
    kept.encode("utf-8")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("see http://a.example/x, https://b.example.", ["http://a.example/x", "https://b.example"]),
        ("[A](http://a.example/x) <https://b.example/?q=1&r=2>", ["http://a.example/x", "https://b.example/?q=1&r=2"]),
        ('{"url": "http://a.example/x", "again": "http://a.example/x"}', ["http://a.example/x"]),
        ("http:// and ftp://c.example and javascript:x", []),
    ],
)
def test_addresses_in_prose_markdown_and_json(words: str, found: list[str]) -> None:
    assert addresses_in(words) == found


def test_text_has_a_source_only_when_it_is_clear() -> None:
    words = "Acme\nhttp://acme.example/\n\nBoth http://a.example/ http://b.example/\n\nnone"
    assert sources(words, {}) == [{"url": "http://acme.example/", "title": "", "snippet": "Acme\nhttp://acme.example/"}]
    assert sources(words, {"url": "http://page.example/"}) == [
        {"url": "http://page.example/", "title": "", "snippet": words}
    ]
