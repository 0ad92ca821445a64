"""Turns tool outputs into conversation items, for the model's calls and for preloaded pages."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any

from agents.prompt_fencing import fenced_json
from agents.tool_calls import ToolCalls

PRELOADED_PAGES_MAX = 5
PRELOADED_CHARACTERS_MAX = 40_000  # about 10,000 tokens for all pages; a longer first page is still shown


async def answer_calls(tools: ToolCalls, calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run the calls of one turn in parallel and return their outputs in order."""
    tasks = [asyncio.create_task(tools.call(call["name"], call["arguments"])) for call in calls]
    try:
        outputs = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [_output(call["call_id"], fenced_json(output)) for call, output in zip(calls, outputs, strict=True)]


async def preload_pages(
    tools: ToolCalls, urls: Iterable[str], prefix: str, *, keep_all: bool
) -> tuple[list[str], list[dict[str, Any]]]:
    """Fetch pages as if the model had called ``fetch_page``.

    Args:
        prefix: prefix of the call ids.
        keep_all: also show pages that failed or exceed the size limit, because a stored conversation already has them.

    Returns:
        The URLs of the pages shown, and their calls and outputs as conversation items.
    """
    pages: dict[str, str] = {}
    characters = 0
    for url in [*dict.fromkeys(urls)][:PRELOADED_PAGES_MAX]:
        output = await tools.call("fetch_page", json.dumps({"url": url}))
        text = fenced_json(output)
        fits = not pages or characters + len(text) <= PRELOADED_CHARACTERS_MAX
        if keep_all or (fits and output["status"] == "ok"):
            pages[url] = text
            characters += len(text)
    calls = [
        {
            "type": "function_call",
            "call_id": f"{prefix}_{number}",
            "name": "fetch_page",
            "arguments": json.dumps({"url": url}, ensure_ascii=False),
        }
        for number, url in enumerate(pages, 1)
    ]
    outputs = [_output(f"{prefix}_{number}", text) for number, text in enumerate(pages.values(), 1)]
    return list(pages), [*calls, *outputs]


def _output(call_id: str, output: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}
