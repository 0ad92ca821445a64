"""The demo model speaks the Responses API over real HTTP to the ``openai`` client, and refuses what the API refuses."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx2
import jsonschema
import openai
import pytest
import uvicorn
from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseFunctionToolCall

from agents.roles.contact_research import ContactsOutput
from local.demo.model.app import create_app
from local.demo.world import DEFAULT_SEED
from tests.local.demo_model_runner import (
    FETCH,
    Played,
    company_task,
    living,
    request_body,
    run_tool,
    strict_schema,
    task_message,
    world_tools,
)

TASK = {
    "task": "contact_research",
    "company": {"name": "Acme", "website": "http://acme.example/", "domain": "acme.example"},
    "known_pages": [{"url": "http://acme.example/team", "title": "Team"}],
    "contacts_max": 3,
}


@pytest.fixture(scope="module")
async def base_url() -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_app(), log_level="warning", lifespan="off"))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    server.should_exit = True
    await serving
    listener.close()


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=base_url, api_key="demo", max_retries=0) as opened:
        yield opened


async def create(client: AsyncOpenAI, items: list[dict[str, Any]], **changes: Any) -> Response:
    body = {**request_body("contact_research", items), **changes}
    return cast(Response, await client.responses.create(**body))


async def test_a_conversation_with_the_openai_client(client: AsyncOpenAI) -> None:
    gold = next(c for c in living(DEFAULT_SEED) if len([p for p in c.decision_makers if p.level <= 5]) > 1)
    items = [task_message(company_task("contact_research", gold, contacts_max=3))]
    played, most_calls, cached = Played(output={}), 0, 0
    for _ in range(8):
        response = await create(client, items)
        assert response.status == "completed"
        assert response.usage is not None
        assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
        cached = response.usage.input_tokens_details.cached_tokens
        assert cached < response.usage.input_tokens
        items.extend(item.model_dump(mode="json", exclude_none=True) for item in response.output)
        calls = [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
        most_calls = max(most_calls, len(calls))
        if not calls:
            break
        assert len({call.call_id for call in calls}) == len(calls)
        items.extend(run_tool(call.model_dump(), world_tools(DEFAULT_SEED), played) for call in calls)
    assert most_calls > 1, "independent pages are asked for in one turn"
    assert cached >= 1024, "input that the last turn sent counts as cached"
    jsonschema.validate(json.loads(response.output_text), strict_schema(ContactsOutput))
    named = {person.full_name for person in ContactsOutput.model_validate_json(response.output_text).people}
    assert named == {person.full_name for person in gold.decision_makers if person.level <= 5}


async def test_a_response_repeats_the_request_and_says_demo(client: AsyncOpenAI) -> None:
    raw = await client.responses.with_raw_response.create(**request_body("contact_research", [task_message(TASK)]))
    assert raw.headers["x-demo-model"] == "1"
    assert raw.headers["x-request-id"].startswith("req_")
    response = raw.parse()
    assert response.id.startswith("resp_")
    assert (response.object, response.model, response.parallel_tool_calls) == ("response", "demo-scripted-1", True)
    assert [tool.type for tool in response.tools] == ["function", "function"]
    other = await create(client, [task_message(TASK)], model="gpt-5-mini", parallel_tool_calls=False)
    assert (other.model, len(other.output)) == ("gpt-5-mini", 1)
    assert other.id != response.id


async def test_models_are_listed(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["demo-scripted-1"]
    assert (await client.models.retrieve("demo-scripted-1")).object == "model"


async def test_it_answers_with_what_it_knows_when_it_must(client: AsyncOpenAI) -> None:
    limited = call_and_output({"result_id": "r1", "status": "error", "reason": "limit reached: tool calls"})
    for response in (
        await create(client, [task_message(TASK)], tools=[]),
        await create(client, [task_message(TASK)], tool_choice="none"),
        await create(client, limited),
    ):
        assert json.loads(response.output_text) == {"people": []}


async def test_it_answers_again_when_asked_again(client: AsyncOpenAI) -> None:
    page = {"result_id": "r1", "status": "ok", "reason": None, "url": "http://acme.example/", "title": "Acme"}
    items = call_and_output({**page, "text": "# Jane Doe\nOwner", "truncated": False})
    first = await create(client, items, tools=[])
    items.extend(item.model_dump(mode="json", exclude_none=True) for item in first.output)
    items.append({"role": "user", "content": "Your answer did not fit the schema: people.0. Answer again."})
    second = await create(client, items, tools=[])
    assert json.loads(second.output_text) == json.loads(first.output_text)
    assert json.loads(second.output_text)["people"][0]["full_name"] == "Jane Doe"


async def test_http_errors_have_openais_shape(base_url: str) -> None:
    key = {"Authorization": "Bearer demo"}
    async with httpx2.AsyncClient(base_url=base_url) as plain:
        for reply, status, code in (
            (await plain.post("/responses", json={}), 401, "invalid_api_key"),
            (await plain.get("/models"), 401, "invalid_api_key"),
            (await plain.post("/responses", content=b"{", headers=key), 400, None),
            (await plain.post("/chat/completions", json={}, headers=key), 404, None),
        ):
            assert reply.status_code == status
            assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
            assert reply.json()["error"]["code"] == code or code is None


def call_and_output(output: dict[str, Any]) -> list[dict[str, Any]]:
    """A conversation of one tool call and its result."""
    call = {"type": "function_call", "call_id": "call_1", "name": "fetch_page"}
    return [
        task_message(TASK),
        {**call, "arguments": json.dumps({"url": "http://acme.example/"})},
        {"type": "function_call_output", "call_id": "call_1", "output": json.dumps(output)},
    ]


LOOSE = {"type": "object", "properties": {"people": {"type": "array", "items": {"type": "string"}}}, "required": []}
PAIRED = call_and_output({"result_id": "r1", "status": "empty", "reason": None, "text": ""})


@pytest.mark.parametrize(
    ("changes", "param", "words"),
    [
        ({"input": []}, "input", "Missing required parameter: 'input'"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type", "Invalid value: 'item_reference'"),
        ({"input": [{"role": "user", "content": "hello"}]}, "input[0].content", "not the JSON"),
        ({"input": [PAIRED[0], PAIRED[2]]}, "input", "No tool call found for function call output with call_id call_1"),
        ({"input": PAIRED[:2]}, "input", "No tool output found for function call call_1"),
        ({"input": [task_message({**TASK, "task": "discovery"})]}, "input", "The task is 'discovery'"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "Supported values are: 'function'"),
        ({"stream": True}, "stream", "Streaming is not supported"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "Unsupported parameter"),
        ({"text": {"format": {"type": "text"}}}, "text.format.type", "structured output"),
        (
            {"text": {"format": {"type": "json_schema", "name": "poem", "schema": {"type": "object"}}}},
            "text.format.name",
            "does not know the output schema 'poem'",
        ),
        (
            {"text": {"format": {"type": "json_schema", "name": "contact_research", "schema": LOOSE, "strict": True}}},
            "text.format.schema",
            "'additionalProperties' is required",
        ),
        (
            {"tools": [{**FETCH, "parameters": {**FETCH["parameters"], "required": []}}]},
            "tools[0].parameters",
            "Missing 'url'",
        ),
    ],
)
async def test_a_malformed_request_is_400_and_names_the_field(
    client: AsyncOpenAI, changes: dict[str, Any], param: str, words: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await create(client, [task_message(TASK)], **changes)
    assert refused.value.param == param
    assert words in refused.value.message
