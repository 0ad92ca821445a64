"""Makes one model call: waits for the rate limit, reserves its cost, calls the model and stores the answer."""

import json
from typing import Any

import httpx2
import openai
import structlog
from openai.types.responses import FunctionToolParam, Response

from agents.cost import estimate_usd, price_usd, used_tokens
from agents.errors import is_short_rate_limit, may_be_charged, queue_full, superseded, to_application_error
from agents.role import AgentRole
from domain.company.status import Interruption
from settings import Settings
from store.database import Connection, Database
from store.runs import agent_turns
from store.runs.agent_turns import Reservation, StoredTurn, TurnKey
from web.rate_limit import RateLimit, RateLimitTimeoutError, seconds_per_request

log = structlog.get_logger()

_PAUSES_MAX = 5  # rate-limit pauses within one turn, before the attempt fails
_QUEUE_MAX_S = 600.0  # fits into one attempt (AGENT in workflows/policies.py)
# How long to retry storing a paid answer while the database is down. The attempt may end earlier.
_STORE_RETRY_S = 780.0
_NO_REQUEST = httpx2.Request("POST", "/v1/responses")


class ModelCalls:
    def __init__(self, client: openai.AsyncOpenAI, database: Database, settings: Settings) -> None:
        self._client = client
        self._database = database
        self._settings = settings
        interval_s = seconds_per_request(settings.model_requests_per_minute)
        self._rate_limit = RateLimit(database, f"model:{settings.openai_model}", interval_s, _QUEUE_MAX_S)

    async def next_turn(
        self,
        role: AgentRole,
        key: TurnKey,
        turn: int,
        task: dict[str, Any],
        items: list[dict[str, Any]],
        tools: list[FunctionToolParam],
    ) -> StoredTurn | Interruption:
        """Call the model and store the answer. Return the stored turn if another worker already made this call.

        Args:
            task: the conversation's input, stored with the first turn.

        Returns:
            An ``Interruption`` if the run may not make the call now, for example at its budget.

        Raises:
            ApplicationError: the model failed, or another worker took over the conversation.
        """
        output_format = {"type": "json_schema", "name": role.name, "schema": role.output_schema, "strict": True}
        body: dict[str, Any] = {"input": items, "text": {"format": output_format}}
        if tools:
            body["tools"] = tools
        # json.dumps escapes to ASCII, so the length is at least the number of bytes sent.
        most_usd = estimate_usd(self._settings, len(json.dumps([role.prompt, body])))
        pauses = 0
        while True:
            try:
                await self._rate_limit.acquire()  # before the reservation: a call that fails here costs nothing
            except RateLimitTimeoutError as error:
                raise queue_full(error.seconds_until_free) from error
            async with self._database.transaction() as conn:
                reserved = await agent_turns.reserve_turn(
                    conn, key, turn, self._settings.openai_model, most_usd, task if turn == 0 else None
                )
            if not isinstance(reserved, Reservation):
                return reserved
            try:
                response = await self._respond(role, body)
            except openai.APIError as error:
                await self._record_failure(reserved, error)
                pauses += 1
                if pauses > _PAUSES_MAX or not is_short_rate_limit(error):
                    raise to_application_error(error) from error
            else:
                return await self._store(role, turn, reserved, response, most_usd)

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
                # The project's default tier may cost more than the list price that cost limits use.
                service_tier=openai.omit if own_server else "default",
                extra_body=body,  # as arguments, the client converts every value, which takes an eighth of a worker's time
            )
        except (json.JSONDecodeError, UnicodeDecodeError) as error:  # the client does not wrap these
            raise openai.APIError("not JSON", request=_NO_REQUEST, body=None) from error
        if not isinstance(response, Response) or not isinstance(response.output, list):
            raise openai.APIError("not a Responses API answer", request=_NO_REQUEST, body=None)
        return response

    async def _record_failure(self, reserved: Reservation, error: openai.APIError) -> None:
        async with self._database.transaction() as conn:
            if may_be_charged(error):
                await agent_turns.mark_turn_lost(conn, reserved)
            else:
                await agent_turns.release_turn(conn, reserved)
        pause = to_application_error(error).next_retry_delay
        if pause is not None:
            await self._rate_limit.pause(pause.total_seconds())

    async def _store(
        self, role: AgentRole, turn: int, reserved: Reservation, response: Response, most_usd: float | None
    ) -> StoredTurn:
        output = [item.model_dump(mode="json", exclude_none=True) for item in response.output]
        tokens = used_tokens(response.usage)
        price = price_usd(self._settings, tokens) if tokens else None
        input_tokens, output_tokens = (tokens.input, tokens.output) if tokens else (0, 0)

        async def complete(conn: Connection) -> bool:
            return await agent_turns.complete_turn(
                conn, reserved, output, input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=price
            )

        if not await self._database.write_with_retry(complete, "model turn", _STORE_RETRY_S):
            raise superseded()
        log.info("model_turn_stored", role=role.name, turn=turn, input_tokens=input_tokens, output_tokens=output_tokens)
        return StoredTurn(output=output, cost_usd=(most_usd or 0.0) if price is None else price, task=None)
