"""Tool outputs as conversation items: answers to the model's calls, and pages that code opens in advance."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any

from agents.prompt_fencing import fenced_json
from agents.tool_calls import ToolCalls

PRELOADED_PAGES_MAX = 5
PRELOADED_CHARACTERS_MAX = 40_000  # of all pages, about 10,000 tokens; a longer first page is still shown


async def answer_calls(tools: ToolCalls, calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs of one turn's calls, in order. If one call raises, the others are cancelled first."""
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
    """Open pages for the model: their addresses, and the items of a turn that called for them.

    Args:
        prefix: of the call ids.
        keep_all: show the pages that a stored conversation began with, whatever they have become.
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
