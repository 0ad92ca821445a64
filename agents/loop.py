"""Runs one agent call: model turns with tool calls, then a typed answer.

Each turn is stored before the next one, so a retry on any worker continues where the last attempt stopped. ``grounding/``
decides what an answer proves.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

import openai
import structlog
from pydantic import BaseModel, ValidationError

from agents.model_call import ModelCalls
from agents.role import AgentRole, RoleName
from agents.tool_calls import ClaimPage, KnownSites, ToolCalls, tool_definitions
from agents.tool_outputs import PRELOADED_PAGES_MAX, answer_calls, preload_pages
from domain.activity_io import Spend
from domain.company.status import Interruption
from domain.storable_text import storable
from mcp_client.answers import McpTool
from settings import Settings
from store.database import Database
from store.runs import agent_turns
from store.runs.agent_turns import TurnKey
from store.tools.tool_results import ToolResult
from web.gateway import ToolGateway

log = structlog.get_logger()

Stop = Literal["answered", "unreadable", "cut_off", "refused", "limit", "interrupted"]
_ANSWER_NOW = "No more tools can be used. Answer now, from what you have read, in the required schema."
_CUT_OFF = "Your answer was cut off: it was too long. Answer again, with fewer entries in lists and shorter quotes."
# These fields grow during a run. They are not part of a conversation's key, so that a retry finds its turns.
_GROWING_FIELDS = frozenset({"already_known"})
_PRELOADED = "preloaded_urls"  # part of the stored task, hidden from the model


@dataclass(frozen=True)
class FollowUp:
    """A second question about an answer.

    Attributes:
        fields: fields that the second answer may replace.
        pages: URLs of pages to show with the question.
    """

    question: str
    fields: tuple[str, ...]
    pages: tuple[str, ...] = ()


FollowUpRule = Callable[[BaseModel, Mapping[str, ToolResult]], FollowUp | None]
"""Returns the follow-up question for an answer and its tool results, if any."""


@dataclass(frozen=True)
class AgentAnswer:
    """The result of an agent call.

    Attributes:
        output: instance of the role's output model, or None.
        stop: why the call ended. ``cut_off`` means that the answer was too long twice.
        results: every tool result that the model saw, by id.
        spend: cost of the whole conversation, including earlier attempts.
    """

    output: BaseModel | None
    stop: Stop
    results: dict[str, ToolResult] = field(default_factory=dict)
    spend: Spend = field(default_factory=Spend)
    interruption: Interruption | None = None


class AgentRunner:
    def __init__(
        self,
        client: openai.AsyncOpenAI,
        gateway: ToolGateway,
        database: Database,
        settings: Settings,
        mcp_tools: Mapping[RoleName, tuple[McpTool, ...]] | None = None,
    ) -> None:
        self._gateway = gateway
        self._database = database
        self._settings = settings
        self._model = ModelCalls(client, database, settings)
        # Not part of a conversation's key, so a worker with other tools continues a stored conversation.
        self._mcp_tools = mcp_tools or {}

    async def run(
        self,
        role: AgentRole,
        run_id: UUID,
        subject: str,
        task: dict[str, Any],
        *,
        allowed_urls: Iterable[str] = (),
        preload_urls: Sequence[str] = (),
        follow_up: FollowUpRule = lambda answer, results: None,
        on_turn: Callable[[int], None] = lambda turn: None,
        claim_page: ClaimPage | None = None,
        known_sites: KnownSites | None = None,
    ) -> AgentAnswer:
        """Start or continue one agent call.

        Args:
            subject: id of the search task or company.
            task: the model's input, as JSON values.
            allowed_urls: the model may open these URLs and other pages of their sites.
            preload_urls: URLs of pages to show with the task, best first. A stored conversation keeps its original pages.
            on_turn: receives each turn's number before the turn, for heartbeats.

        Raises:
            ApplicationError: the model failed; see ``errors.to_application_error``.
        """
        key = TurnKey(run_id=run_id, subject=subject, role=role.name, input_hash=self._input_hash(role, task))
        async with self._database.transaction() as conn:
            stored = await agent_turns.load_turns(conn, key)
        begun = stored[0].task if stored else None
        urls = [*dict.fromkeys(preload_urls)][:PRELOADED_PAGES_MAX] if begun is None else begun.get(_PRELOADED, [])
        mcp_tools = self._mcp_tools.get(role.name, ())
        tools = ToolCalls(
            self._gateway,
            role.tools,
            calls_max=role.tool_calls_max + len(urls),
            allowed_urls={*allowed_urls, *urls},
            mcp_tools=mcp_tools,
            claim_page=claim_page,
            known_sites=known_sites,
        )
        preloaded, pages = await preload_pages(tools, urls, "opened", keep_all=begun is not None)
        task = begun or (task | ({_PRELOADED: preloaded} if preloaded else {}))
        shown = {name: value for name, value in task.items() if name != _PRELOADED}
        items: list[dict[str, Any]] = [_user(json.dumps(shown, ensure_ascii=False)), *pages]
        spend = Spend()
        is_repaired = False
        first: tuple[BaseModel, FollowUp] | None = None  # the first answer and its follow-up

        def ended(stop: Stop) -> AgentAnswer:
            output, stop = (None, stop) if first is None else (first[0], "answered")
            return AgentAnswer(output, stop, tools.results, spend)

        for number in range(role.turns_max):
            on_turn(number)
            is_last = number == role.turns_max - 1
            if is_last and items[-1].get("type") == "function_call_output":
                items.append(_user(_ANSWER_NOW))
            if number < len(stored):
                turn = stored[number]
            else:
                offered = [] if is_last else tool_definitions(role.tools, mcp_tools)
                bought = await self._model.next_turn(role, key, number, task, items, offered)
                if isinstance(bought, Interruption):
                    return AgentAnswer(None, "interrupted", tools.results, spend, bought)
                turn = bought
            spend = spend.plus(Spend(cost_usd=turn.cost_usd, model_calls=1))
            items.extend(turn.output)
            calls = [item for item in turn.output if item.get("type") == "function_call"]
            if calls:
                items.extend(await answer_calls(tools, calls))
                continue
            text = _answer_text(turn.output)
            if text is None:
                return ended("refused")
            try:
                parsed = role.output.model_validate_json(text).model_dump(mode="json")
                answer = role.output.model_validate(storable(parsed))
            except ValidationError as error:
                is_cut_off = any(item.get("status") == "incomplete" for item in turn.output)
                log.info("answer_unreadable", role=role.name, problems=error.error_count(), cut_off=is_cut_off)
                if is_repaired:
                    return ended("cut_off" if is_cut_off else "unreadable")
                is_repaired = True
                items.append(_user(_CUT_OFF if is_cut_off else _repair_message(error)))
                continue
            if first is not None:
                return AgentAnswer(_with_follow_up(*first, answer), "answered", tools.results, spend)
            asked = None if is_last else follow_up(answer, tools.results)
            if asked is None:
                return AgentAnswer(answer, "answered", tools.results, spend)
            _, pages = await preload_pages(tools, asked.pages, "opened_again", keep_all=False)
            if asked.pages and not pages and number + 1 >= len(stored):
                # Without a new page, a second answer is not worth its price. A stored one is still used.
                return AgentAnswer(answer, "answered", tools.results, spend)
            first = (answer, asked)
            items += [*pages, _user(asked.question)]
        return ended("limit")

    def question_hash(self, role: AgentRole, task: dict[str, Any]) -> str:
        """Hash everything that may change the answer: prompt, model, task, search back end and MCP tools."""
        tools = sorted(tool.function for tool in self._mcp_tools.get(role.name, ()))
        return _hash([self._input_hash(role, task), self._gateway.search_backend, *tools])

    def _input_hash(self, role: AgentRole, task: dict[str, Any]) -> str:
        stable = {name: value for name, value in task.items() if name not in _GROWING_FIELDS}
        return _hash([role.prompt, role.output_schema, self._settings.openai_model, stable])


def _hash(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _answer_text(output: list[dict[str, Any]]) -> str | None:
    parts = [part for item in output if item.get("type") == "message" for part in item.get("content", [])]
    if any(part.get("type") == "refusal" for part in parts):
        return None
    return "".join(part.get("text", "") for part in parts if part.get("type") == "output_text")


def _repair_message(error: ValidationError) -> str:
    problems = "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'answer'}: {problem['msg']}" for problem in error.errors()[:5]
    )
    return f"Your answer did not fit the schema: {problems}. Answer again."


def _with_follow_up(first: BaseModel, follow_up: FollowUp, second: BaseModel) -> BaseModel:
    given = {name: value for name in follow_up.fields if (value := getattr(second, name))}
    return first.model_copy(update=given)
