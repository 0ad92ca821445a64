"""One agent call: model turns with tool calls in between, and a typed answer at the end.

Every turn is stored before the next one, so a retry on any worker continues at the first turn that is missing. What an answer
proves is decided in ``grounding/``.
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
# Not part of a conversation's key: these grow while the run goes on, and a retry must find its turns again.
_GROWING_FIELDS = frozenset({"already_known"})
_PRELOADED = "preloaded_urls"  # in the stored task of a conversation; the model does not see it


@dataclass(frozen=True)
class FollowUp:
    """One more question about an answer.

    Attributes:
        fields: the only fields that its answer may change.
        pages: addresses to open for it.
    """

    question: str
    fields: tuple[str, ...]
    pages: tuple[str, ...] = ()


FollowUpRule = Callable[[BaseModel, Mapping[str, ToolResult]], FollowUp | None]
"""Given an answer and the tool results behind it: what to ask once more, if anything."""


@dataclass(frozen=True)
class AgentAnswer:
    """The result of an agent call.

    Attributes:
        output: instance of the role's output model; None without a usable answer.
        stop: why the call ended. ``cut_off``: the answer was too long twice.
        results: every tool result that the model was shown, by id.
        spend: cost of the whole conversation, earlier attempts included.
    """

    output: BaseModel | None
    stop: Stop
    results: dict[str, ToolResult] = field(default_factory=dict)
    spend: Spend = field(default_factory=Spend)
    interruption: Interruption | None = None


class AgentRunner:
    """Runs agent calls with one model client, gateway and database."""

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
        # Not part of a conversation's key: a worker with other tools continues what was bought.
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
        """Run or continue one agent call.

        Args:
            subject: id of the search task or company.
            task: the model's input; JSON values only.
            allowed_urls: addresses whose sites may be opened from the start.
            preload_urls: pages to show with the task, best first. A stored conversation keeps the pages it began with.
            on_turn: called with each turn's number, for heartbeats.

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
        first: tuple[BaseModel, FollowUp] | None = None  # the answer that a follow-up question was asked about

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
                # No new page can be read, so another answer is not worth buying. A stored one is still used.
                return AgentAnswer(answer, "answered", tools.results, spend)
            first = (answer, asked)
            items += [*pages, _user(asked.question)]
        return ended("limit")

    def question_hash(self, role: AgentRole, task: dict[str, Any]) -> str:
        """Identifies a question by what may change its answer: prompt, model, task, search back end and MCP tools."""
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
    """The text of an answer; None if the model refused."""
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
