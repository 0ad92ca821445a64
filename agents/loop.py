"""One agent call: turns of the model, tools in between, a typed answer at the end.

Pages that code has read already stand in the conversation from the start, as if the model had asked for them; so one turn
usually settles a call. An answer that leaves something open may be followed by one more question, never two.

Every turn is stored before anything depends on it; called again with the same input, on any worker, the call goes on at
the first turn that is not stored. Tools are answered from the gateway's cache then. Nothing is decided here about
what the answer is worth: that is ``grounding.py`` and the domain's rules.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

import httpx2
import openai
import structlog
from openai.types.responses import Response, ResponseTextConfigParam
from pydantic import BaseModel, ValidationError

from agents.cost import cost_usd, estimate_usd, used_tokens
from agents.errors import is_short_rate_limit, may_be_charged, queue_full, superseded, to_application_error
from agents.role import AgentRole, RoleName
from agents.strict_schema import strict_schema
from agents.tool_calls import ClaimPage, KnownSites, ToolCalls, definitions
from agents.tool_outputs import OPENED_PAGES_MAX, answer_calls, open_pages
from domain.activity_io import Spend
from domain.company.status import Interruption
from domain.storable_text import storable
from mcp_client.answers import McpTool
from settings import Settings
from store.database import Connection, Database
from store.runs import agent_turns
from store.runs.agent_turns import Reservation, StoredTurn, TurnKey
from store.tools.tool_results import ToolResult
from web.gateway import ToolGateway
from web.rate_limit import RateLimitTimeoutError, ServiceRateLimit

log = structlog.get_logger()

Stop = Literal["answered", "unreadable", "cut_off", "refused", "limit", "interrupted"]
_ANSWER_NOW = "No more tools can be used. Answer now, from what you have read, in the required schema."
_CUT_OFF = "Your answer was cut off: it was too long. Answer again, with fewer entries in lists and shorter quotes."
# A pause that the service asks for is a wait in the queue of all workers, not a failed attempt of the step; up to this many.
_SLOWED_DOWN_MAX = 5
# Left out of a conversation's key: grows while the run goes on, and a retry must find its turns again.
_GROWING_FIELDS = frozenset({"already_known"})
# How long a call queues for the model's rate limit at most: it fits into an attempt (AGENT in workflows/policies.py).
_PACE_WAIT_MAX_S = 600.0
# An answer is paid for, so it is held for a database that is away: for most of an attempt, whose own end comes first where less is left.
_ANSWER_HELD_S = 780.0
# Where the stored input of a conversation keeps the addresses that were opened for it; not shown to the model.
_OPENED = "preloaded_urls"


@dataclass(frozen=True)
class FollowUp:
    """One more question about an answer.

    Attributes:
        question: what is asked, in words for the model.
        fields: fields of the answer that it is about; only these are taken from the answer to it.
        pages: addresses to open for it.
    """

    question: str
    fields: tuple[str, ...]
    pages: tuple[str, ...] = ()


FollowUpRule = Callable[[BaseModel, Mapping[str, ToolResult]], FollowUp | None]
"""Given an answer and what the model was shown: what to ask about it, or None when it will do."""


@dataclass(frozen=True)
class AgentAnswer:
    """What came of an agent call.

    Attributes:
        output: instance of the role's output model, or None when there is no usable answer.
        stop: why the call ended; ``cut_off`` is an answer longer than the model may give, twice.
        results: every tool result that the model was shown, by id.
        spend: what the whole conversation has cost so far, earlier attempts included.
        interruption: set when ``stop`` is ``interrupted``.
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
        self._client = client
        self._gateway = gateway
        self._database = database
        self._settings = settings
        self._pace = ServiceRateLimit(
            database, f"model:{settings.openai_model}", settings.model_requests_per_minute, _PACE_WAIT_MAX_S
        )
        # Not a part of a conversation's key: a worker that offers other tools goes on with what was bought.
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
        """Run one agent call to its end.

        Args:
            subject: what it is about (a search task's or company's id).
            task: the input for the model, JSON values only.
            allowed_urls: addresses that may be opened from the start, with the sites they belong to.
            preload_urls: addresses opened beforehand, best first; of the first ``OPENED_PAGES_MAX``, those that can be read are
                shown. A conversation once begun goes on with those it was begun with.
            follow_up: whether the answer leaves something open that is worth one more question.
            on_turn: told the number of each turn as it begins, for heartbeats.
            claim_page: whether a page is this call's to read; asked before each fetch.
            known_sites: which sites a search marks as known; asked after each search.

        Raises:
            ApplicationError: the model's service failed; typed and classified by ``errors.to_application_error``.
        """
        key = TurnKey(run_id=run_id, subject=subject, role=role.name, input_hash=self._input_hash(role, task))
        async with self._database.transaction() as conn:
            stored = await agent_turns.load_turns(conn, key)
        begun = stored[0].task if stored else None
        first: Sequence[str] = (
            [*dict.fromkeys(preload_urls)][:OPENED_PAGES_MAX] if begun is None else begun.get(_OPENED, ())
        )
        tools = ToolCalls(
            self._gateway,
            role.tools,
            calls_max=role.tool_calls_max + len(first),
            allowed_urls={*allowed_urls, *first},
            mcp_tools=self._mcp_tools.get(role.name, ()),
            claim_page=claim_page,
            known_sites=known_sites,
        )
        shown, pages = await open_pages(tools, first, "opened", is_exact=begun is not None)
        first_input = begun or (task | ({_OPENED: shown} if shown else {}))
        told = {name: value for name, value in first_input.items() if name != _OPENED}
        items: list[dict[str, Any]] = [_user(json.dumps(told, ensure_ascii=False)), *pages]
        spend = Spend()
        repaired = False
        earlier: tuple[BaseModel, FollowUp] | None = None
        for turn in range(role.turns_max):
            on_turn(turn)
            last = turn == role.turns_max - 1
            if last and items[-1].get("type") == "function_call_output":
                items.append(_user(_ANSWER_NOW))
            if turn < len(stored):
                output, price = stored[turn].output, stored[turn].cost_usd
            else:
                bought = await self._buy_turn(role, key, turn, first_input, items, offer_tools=not last)
                if isinstance(bought, Interruption):
                    return AgentAnswer(None, "interrupted", tools.results, spend, bought)
                output, price = bought
            spend = spend.plus(Spend(cost_usd=price, model_calls=1))
            items.extend(output)
            calls = [item for item in output if item.get("type") == "function_call"]
            if calls:
                items.extend(await answer_calls(tools, calls))
                continue
            text, refused = _text_of(output)
            if refused:
                return _ended(earlier, "refused", tools, spend)
            try:
                parsed = role.output.model_validate_json(text).model_dump(mode="json")
                answer = role.output.model_validate(storable(parsed))
            except ValidationError as error:
                cut_off = any(item.get("status") == "incomplete" for item in output)
                log.info("answer_unreadable", role=role.name, problems=error.error_count(), cut_off=cut_off)
                if repaired:
                    return _ended(earlier, "cut_off" if cut_off else "unreadable", tools, spend)
                repaired = True
                items.append(_user(_CUT_OFF if cut_off else _repair_message(error)))
                continue
            if earlier is not None:
                return AgentAnswer(_completed(*earlier, answer), "answered", tools.results, spend)
            asked = None if last else follow_up(answer, tools.results)
            if asked is None:
                return AgentAnswer(answer, "answered", tools.results, spend)
            _, pages = await open_pages(tools, asked.pages, "opened_again", is_exact=False)
            if asked.pages and not pages and turn + 1 >= len(stored):
                # None of them can be read: there is nothing new to answer from. An answer that is bought already is used.
                return AgentAnswer(answer, "answered", tools.results, spend)
            earlier = (answer, asked)
            items += [*pages, _user(asked.question)]
        return _ended(earlier, "limit", tools, spend)

    def question_hash(self, role: AgentRole, task: dict[str, Any]) -> str:
        """What tells two questions apart that may be answered differently: prompt, model and task, and by what its tools
        are answered (the search back end, the servers' tools)."""
        tools = sorted(tool.function for tool in self._mcp_tools.get(role.name, ()))
        parts = [self._input_hash(role, task), self._gateway.search_backend, *tools]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def _input_hash(self, role: AgentRole, task: dict[str, Any]) -> str:
        stable = {name: value for name, value in task.items() if name not in _GROWING_FIELDS}
        parts = [role.prompt, strict_schema(role.output), self._settings.openai_model, stable]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]

    async def _buy_turn(
        self,
        role: AgentRole,
        key: TurnKey,
        turn: int,
        task: dict[str, Any],
        items: list[dict[str, Any]],
        *,
        offer_tools: bool,
    ) -> tuple[list[dict[str, Any]], float] | Interruption:
        # What is JSON as the API takes it goes as it is. As arguments, the client would look at every value in it for
        # something to convert: an eighth of a worker's time, more with every turn of a conversation.
        body: dict[str, Any] = {"input": items, "text": _text_format(role)}
        if offer_tools:
            body["tools"] = definitions(role.tools, self._mcp_tools.get(role.name, ()))
        # Escaped, as it is here, a text has no fewer characters than bytes.
        most = estimate_usd(self._settings, len(json.dumps([role.prompt, body])))
        answered = await self._answered(role, key, turn, task, body, most)
        if isinstance(answered, StoredTurn):
            return answered.output, answered.cost_usd
        if isinstance(answered, Interruption):
            return answered
        reserved, response = answered
        output = [item.model_dump(mode="json", exclude_none=True) for item in response.output]
        used = used_tokens(response.usage)
        price = cost_usd(self._settings, used) if used else None
        used_in, used_out = (used.input, used.output) if used else (0, 0)

        async def settle(conn: Connection) -> bool:
            return await agent_turns.complete_turn(
                conn, reserved, output, input_tokens=used_in, output_tokens=used_out, cost_usd=price
            )

        if not await self._database.store_paid(settle, "model turn", _ANSWER_HELD_S):
            raise superseded()
        log.info("model_turn_stored", role=role.name, turn=turn, input_tokens=used_in, output_tokens=used_out)
        return output, (most or 0.0) if price is None else price

    async def _answered(
        self, role: AgentRole, key: TurnKey, turn: int, task: dict[str, Any], body: dict[str, Any], most: float | None
    ) -> tuple[Reservation, Response] | StoredTurn | Interruption:
        """The model's answer to a turn that money was set aside for; or the turn as another worker has stored it, or why not."""
        for slowed_down in range(_SLOWED_DOWN_MAX + 1):
            try:
                await self._pace.acquire()  # before money is set aside: who is ended here has bought nothing
            except RateLimitTimeoutError as error:
                raise queue_full(error.seconds_until_free) from error
            async with self._database.transaction() as conn:
                reserved = await agent_turns.reserve_turn(
                    conn, key, turn, self._settings.openai_model, most, task if turn == 0 else None
                )
            if not isinstance(reserved, Reservation):
                return reserved
            try:
                return reserved, await self._respond(role, body)
            except openai.APIError as error:
                await self._unanswered(reserved, error)
                if slowed_down == _SLOWED_DOWN_MAX or not is_short_rate_limit(error):
                    raise to_application_error(error) from error
        raise AssertionError("the last time round raises")

    async def _unanswered(self, reserved: Reservation, error: openai.APIError) -> None:
        async with self._database.transaction() as conn:
            if may_be_charged(error):
                await agent_turns.mark_turn_lost(conn, reserved)
            else:
                await agent_turns.release_turn(conn, reserved)
        pause = to_application_error(error).next_retry_delay
        if pause is not None:
            await self._pace.pause(pause.total_seconds())

    async def _respond(self, role: AgentRole, body: dict[str, Any]) -> Response:
        own_server = self._settings.openai_base_url is not None
        try:
            response = await self._client.responses.create(
                model=self._settings.openai_model,
                instructions=role.prompt,
                parallel_tool_calls=True if "tools" in body else openai.omit,
                max_output_tokens=self._settings.model_output_tokens_max,
                store=False,
                include=["reasoning.encrypted_content"],
                # A project's own tier may cost more than the list price, on which a run's limit rests.
                service_tier=openai.omit if own_server else "default",
                extra_body=body,
            )
        except (
            json.JSONDecodeError,
            UnicodeDecodeError,
        ) as error:  # a body that says it is JSON and is not; the client does not wrap it
            raise openai.APIError("not JSON", request=_NO_REQUEST, body=None) from error
        if not isinstance(response, Response) or not isinstance(response.output, list):
            # The client passes on whatever a server sends; one that speaks something else must not look like a bug.
            raise openai.APIError("not a Responses API answer", request=_NO_REQUEST, body=None)
        return response


def _ended(earlier: tuple[BaseModel, FollowUp] | None, stop: Stop, tools: ToolCalls, spend: Spend) -> AgentAnswer:
    """The end of a call without a (further) answer: what was answered before one more question stands."""
    if earlier is not None:
        return AgentAnswer(earlier[0], "answered", tools.results, spend)
    return AgentAnswer(None, stop, tools.results, spend)


def _completed(first: BaseModel, follow_up: FollowUp, second: BaseModel) -> BaseModel:
    """An answer with the fields that one more question was about, as far as the answer to that gives them."""
    given = {name: getattr(second, name) for name in follow_up.fields if getattr(second, name)}
    return first.model_copy(update=given)


_NO_REQUEST = httpx2.Request("POST", "/v1/responses")


def _text_format(role: AgentRole) -> ResponseTextConfigParam:
    schema = strict_schema(role.output)
    return {"format": {"type": "json_schema", "name": role.name, "schema": schema, "strict": True}}


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _text_of(output: list[dict[str, Any]]) -> tuple[str, bool]:
    """The text of the answer, and whether the model refused to give one."""
    contents = [part for item in output if item.get("type") == "message" for part in item.get("content", [])]
    refused = any(part.get("type") == "refusal" for part in contents)
    return "".join(part.get("text", "") for part in contents if part.get("type") == "output_text"), refused


def _repair_message(error: ValidationError) -> str:
    problems = "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'answer'}: {problem['msg']}" for problem in error.errors()[:5]
    )
    return f"Your answer did not fit the schema: {problems}. Answer again."
