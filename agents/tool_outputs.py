"""What tools returned, as items of a conversation: answers to the model's calls, and pages that code has opened for it."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any

from agents.prompt_fencing import fenced
from agents.tool_calls import ToolCalls

OPENED_PAGES_MAX = 5
OPENED_CHARACTERS_MAX = 40_000
"""Of pages opened beforehand, together: about 10,000 tokens. The first is shown even if it is longer."""


async def answer_calls(tools: ToolCalls, calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers to a turn's calls, in their order. When one of them raises, none of the others goes on behind the step's back."""
    answering = [asyncio.create_task(tools.call(call["name"], call["arguments"])) for call in calls]
    try:
        outputs = await asyncio.gather(*answering)
    finally:
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
    return [_output(call["call_id"], fenced(output)) for call, output in zip(calls, outputs, strict=True)]


async def open_pages(
    tools: ToolCalls, addresses: Iterable[str], prefix: str, *, is_exact: bool
) -> tuple[list[str], list[dict[str, Any]]]:
    """Pages opened for the model: their addresses, and the items that show them, calls first as in a turn of its own.

    Args:
        is_exact: they were shown before; show them again, whatever has become of them.
    """
    shown: dict[str, str] = {}
    characters = 0
    for url in [*dict.fromkeys(addresses)][:OPENED_PAGES_MAX]:
        output = fenced(await tools.call("fetch_page", json.dumps({"url": url})))
        fits = not shown or characters + len(output) <= OPENED_CHARACTERS_MAX
        if is_exact or (fits and json.loads(output)["status"] == "ok"):
            shown[url] = output
            characters += len(output)
    items = [
        {
            "type": "function_call",
            "call_id": f"{prefix}_{number}",
            "name": "fetch_page",
            "arguments": json.dumps({"url": url}, ensure_ascii=False),
        }
        for number, url in enumerate(shown, 1)
    ]
    return list(shown), [
        *items,
        *(_output(f"{prefix}_{number}", text) for number, text in enumerate(shown.values(), 1)),
    ]


def _output(call_id: str, output: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}
