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
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseOutputMessage

from agents.roles.contact_research import ContactsOutput
from local.demo.model.app import create_app
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

SEED = 20261
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
    """One request of the contact role, as the agent loop sends it."""
    body = {**request_body("contact_research", items), **changes}
    return cast(Response, await client.responses.create(**body))


async def test_a_whole_conversation_with_the_openai_client(client: AsyncOpenAI) -> None:
    gold = next(c for c in living(SEED) if len([p for p in c.decision_makers if p.level <= 5]) > 1)
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
        items.extend(run_tool(call.model_dump(), world_tools(SEED), played) for call in calls)
    assert most_calls > 1, "independent pages are asked for in one turn"
    assert cached >= 1024, "the part of the input that the turn before sent counts as cached"
    message = response.output[0]
    assert isinstance(message, ResponseOutputMessage)
    jsonschema.validate(json.loads(response.output_text), strict_schema(ContactsOutput))
    named = {person.full_name for person in ContactsOutput.model_validate_json(response.output_text).people}
    assert named == {person.full_name for person in gold.decision_makers if person.level <= 5}


async def test_the_response_echoes_the_request_and_says_that_it_is_a_demo(client: AsyncOpenAI) -> None:
    raw = await client.responses.with_raw_response.create(**request_body("contact_research", [task_message(TASK)]))
    assert raw.headers["x-demo-model"] == "1"
    assert raw.headers["x-request-id"].startswith("req_")
    response = raw.parse()
    assert response.id.startswith("resp_")
    assert (response.object, response.model, response.parallel_tool_calls) == ("response", "demo-scripted-1", True)
    assert [tool.type for tool in response.tools] == ["function", "function"]
    call = response.output[0]
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, json.loads(call.arguments)) == ("fetch_page", {"url": "http://acme.example/"})
    other = await create(client, [task_message(TASK)], model="gpt-5-mini", parallel_tool_calls=False)
    assert other.model == "gpt-5-mini"
    assert len(other.output) == 1
    assert other.id != response.id


async def test_models_are_listed(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["demo-scripted-1"]
    assert (await client.models.retrieve("demo-scripted-1")).object == "model"


async def test_without_tools_or_after_a_limit_it_answers_with_what_is_known(client: AsyncOpenAI) -> None:
    assert json.loads((await create(client, [task_message(TASK)], tools=[])).output_text) == {"people": []}
    assert json.loads((await create(client, [task_message(TASK)], tool_choice="none")).output_text) == {"people": []}
    items = [*call_and_output({"result_id": "r1", "status": "error", "reason": "limit reached: tool calls"})]
    assert json.loads((await create(client, items)).output_text) == {"people": []}


async def test_a_request_to_answer_again_is_answered_again(client: AsyncOpenAI) -> None:
    page = {"result_id": "r1", "status": "ok", "reason": None, "url": "http://acme.example/", "title": "Acme"}
    items = call_and_output({**page, "text": "# Jane Doe\nOwner", "truncated": False})
    first = await create(client, items, tools=[])
    items.extend(item.model_dump(mode="json", exclude_none=True) for item in first.output)
    items.append({"role": "user", "content": "Your answer did not fit the schema: people.0. Answer again."})
    second = await create(client, items, tools=[])
    assert json.loads(second.output_text) == json.loads(first.output_text)
    assert json.loads(second.output_text)["people"][0]["full_name"] == "Jane Doe"


async def test_a_missing_key_is_401(base_url: str) -> None:
    async with httpx2.AsyncClient() as plain:
        for path in ("responses", "models"):
            method = "POST" if path == "responses" else "GET"
            reply = await plain.request(method, f"{base_url}/{path}", json={} if method == "POST" else None)
            assert reply.status_code == 401
            assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
            assert reply.json()["error"]["code"] == "invalid_api_key"


async def test_a_body_that_is_no_json_and_an_unknown_address_are_refused_in_openai_shape(base_url: str) -> None:
    async with httpx2.AsyncClient(headers={"Authorization": "Bearer demo"}) as plain:
        broken = await plain.post(f"{base_url}/responses", content=b"{")
        assert (broken.status_code, broken.json()["error"]["type"]) == (400, "invalid_request_error")
        lost = await plain.post(f"{base_url}/chat/completions", json={})
        assert (lost.status_code, lost.json()["error"]["param"]) == (404, None)


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
async def test_a_malformed_request_is_400_and_says_where(
    client: AsyncOpenAI, changes: dict[str, Any], param: str, words: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await create(client, [task_message(TASK)], **changes)
    assert refused.value.param == param
    assert words in refused.value.message


async def test_streaming_is_refused(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Streaming is not supported"):
        await create(client, [task_message(TASK)], stream=True)
