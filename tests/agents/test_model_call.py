"""One model turn: the request, what a failure costs, the rate limit, and an answer that outlives a lost database."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from uuid import UUID

import pytest
from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError

from settings import Settings
from store.database import Database
from store.runs import runs
from tests.agents.conftest import Scripted, turn_statuses
from tests.agents.scripted_model import EMPTY_RESEARCH, INPUT_TOKENS, fails, held, says, scripted
from tests.conftest import database_away
from tests.http_server import Reply
from tests.local.stack_helpers import eventually
from web.gateway import ToolGateway
from web.rate_limit import RateLimit, RateLimitTimeoutError

JSON = {"content-type": "application/json"}


async def test_request_asks_for_the_schema_and_no_storage(model: Scripted, run_id: UUID) -> None:
    async with model(says(EMPTY_RESEARCH)) as server:
        await server.run(run_id)
        asked = server.asked(0)
    assert asked["text"]["format"]["name"] == "company_research"
    assert asked["text"]["format"]["strict"] is True
    assert {tool["name"] for tool in asked["tools"]} == {"fetch_page", "search_web"}
    assert asked["store"] is False
    assert "tool_choice" not in asked


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "type_", "is_retried", "statuses"),
    [
        (fails(429), "ModelRateLimited", True, []),
        (fails(503), "ModelServerError", True, []),
        (fails(401), "ModelAccessDenied", False, []),
        (fails(400), "ModelBadRequest", False, []),
        (Reply(500, b"<html>oops</html>", {"content-type": "text/html"}), "ModelServerError", True, []),
        (fails(502), "ModelServerError", True, ["lost"]),
        (fails(504), "ModelServerError", True, ["lost"]),
        (fails(524), "ModelServerError", True, ["lost"]),
        (Reply(200, b"{", JSON), "ModelServerError", True, ["lost"]),
        (Reply(200, b"", JSON), "ModelServerError", True, ["lost"]),
        (Reply(200, b"<html>gateway</html>", JSON), "ModelServerError", True, ["lost"]),
        (Reply(200, b"{}", JSON), "ModelServerError", True, ["lost"]),
        (Reply(200, b'{"output": null}', JSON), "ModelServerError", True, ["lost"]),
        (Reply(200, b"null", JSON), "ModelServerError", True, ["lost"]),
        (Reply(after_s=30), "ModelUnreachable", True, ["lost"]),
    ],
    ids=lambda value: f"{value.status} {value.body[:12]!r}" if isinstance(value, Reply) else None,
)
async def test_a_failure_is_typed_and_spent_only_if_it_may_be_charged(
    model: Scripted,
    database: Database,
    run_id: UUID,
    failure: Reply,
    type_: str,
    is_retried: bool,
    statuses: list[str],
) -> None:
    async with model(failure, says(EMPTY_RESEARCH)) as server:
        with pytest.raises(ApplicationError) as caught:
            await server.run(run_id)
        assert server.bought == 1, "Temporal retries, the client does not"
        assert (caught.value.type, caught.value.non_retryable) == (type_, not is_retried)
        assert await turn_statuses(database, run_id) == statuses
        assert "scripted" not in str(caught.value), "no key in a message"
        assert (await server.run(run_id)).stop == "answered"
        assert sorted(await turn_statuses(database, run_id)) == [*statuses, "stored"]


async def test_an_unreachable_model_charges_nothing(model: Scripted, database: Database, run_id: UUID) -> None:
    async with model() as server:
        runner = server.new_worker()
        server.server.stop()
        with pytest.raises(ApplicationError) as caught:
            await server.run(run_id, runner=runner)
    assert (caught.value.type, caught.value.non_retryable) == ("ModelUnreachable", False)
    assert await turn_statuses(database, run_id) == []


async def test_an_answer_without_usage_costs_the_most_it_can(model: Scripted, database: Database, run_id: UUID) -> None:
    answered = says(EMPTY_RESEARCH)
    silent = Reply(body=answered.body.replace(b'"usage"', b'"other"'), headers=answered.headers)
    async with model(silent) as server:
        answer = await server.run(run_id)
        assert answer.spend.cost_usd > (len(json.dumps(server.asked(0))) + 4 * 8000) / 1_000_000
    async with database.transaction() as conn:
        assert (await runs.spend(conn, run_id))["cost_usd"] == pytest.approx(answer.spend.cost_usd)


async def test_the_later_of_two_workers_continues_and_both_are_paid(
    model: Scripted, database: Database, run_id: UUID
) -> None:
    answered = asyncio.Event()
    script = (held(says("Sure!"), answered), says(EMPTY_RESEARCH))
    async with model(*script, timeout_s=30) as server:
        looked_dead = asyncio.create_task(server.run(run_id))
        assert await eventually(lambda: server.bought == 1, within_s=10)
        assert (await server.run(run_id)).stop == "answered"
        answered.set()
        with pytest.raises(ApplicationError, match="another worker continues"):
            await looked_dead
    assert sorted(await turn_statuses(database, run_id)) == ["lost", "stored"]
    async with database.transaction() as conn:
        spend = await runs.spend(conn, run_id)
    assert (spend["model_calls"], spend["input_tokens"]) == (2, 2 * INPUT_TOKENS)


# --- a database that is away -----------------------------------------------------------------------------------------


async def test_an_answer_is_kept_while_the_database_is_away(
    impatient_database: Database, database_url: str, gateway: ToolGateway, settings: Settings, run_id: UUID
) -> None:
    is_away = asyncio.Event()
    answer = held(says(EMPTY_RESEARCH), is_away)
    async with scripted(impatient_database, gateway, settings, answer, timeout_s=30) as server:
        with capture_logs() as logged:
            call = asyncio.create_task(server.run(run_id))
            assert await eventually(lambda: server.bought == 1, within_s=10)
            async with database_away(database_url):
                is_away.set()
                not_yet = {"event": "not_stored_yet", "what": "model turn", "error": "PoolTimeout"}.items()
                assert await eventually(lambda: any(not_yet <= event.items() for event in logged), within_s=10)
        assert (await call).stop == "answered"
        assert server.bought == 1
    assert await turn_statuses(impatient_database, run_id) == ["stored"]


@pytest.mark.parametrize("comes_back", [True, False])
async def test_an_answer_outlives_a_cancelled_activity(
    database: Database,
    impatient_database: Database,
    database_url: str,
    gateway: ToolGateway,
    settings: Settings,
    run_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
    comes_back: bool,
) -> None:
    monkeypatch.setattr("store.database._WRITE_AFTER_CANCELLATION_S", 10 if comes_back else 0.1)
    is_away = asyncio.Event()
    answer = held(says(EMPTY_RESEARCH), is_away)
    async with scripted(impatient_database, gateway, settings, answer, timeout_s=30) as server:
        with capture_logs() as logged:
            call = asyncio.create_task(server.run(run_id))
            assert await eventually(lambda: server.bought == 1, within_s=10)
            async with database_away(database_url):
                is_away.set()
                assert await eventually(lambda: "not_stored_yet" in str(logged), within_s=10)
                call.cancel()
                _, waiting = await asyncio.wait([call], timeout=1)
                assert bool(waiting) == comes_back, "it is kept for a limited time"
            with pytest.raises(asyncio.CancelledError):
                await call
    dropped = [event["log_level"] for event in logged if event["event"] == "paid_answer_dropped"]
    expected = (["stored"], []) if comes_back else (["reserved"], ["error"])
    assert (await turn_statuses(database, run_id), dropped) == expected


# --- rate limit ------------------------------------------------------------------------------------------------------


async def test_a_short_pause_is_waited_for_inside_the_attempt(
    model: Scripted, database: Database, run_id: UUID
) -> None:
    slow_down = fails(429, **{"retry-after-ms": "20"})
    async with model(slow_down, slow_down, says(EMPTY_RESEARCH)) as server:
        assert (await server.run(run_id)).stop == "answered"
        assert server.bought == 3, "asked, and not charged, twice"
    assert await turn_statuses(database, run_id) == ["stored"]


async def test_endless_pauses_end_the_attempt(model: Scripted, run_id: UUID) -> None:
    async with model(*[fails(429, **{"retry-after-ms": "20"})] * 20) as server:
        with pytest.raises(ApplicationError) as caught:
            await server.run(run_id)
        assert (caught.value.type, server.bought) == ("ModelRateLimited", 6)


async def test_the_shared_rate_limit_reserves_no_money(
    database: Database, gateway: ToolGateway, settings: Settings, run_id: UUID
) -> None:
    slow = settings.model_copy(update={"model_requests_per_minute": 0.01})
    async with scripted(database, gateway, slow, says(EMPTY_RESEARCH), says(EMPTY_RESEARCH)) as server:
        await server.run(run_id, subject="company 1")
        with pytest.raises(ApplicationError, match="MODEL_REQUESTS_PER_MINUTE") as caught:
            await server.run(run_id, subject="company 2", runner=server.new_worker())
        assert server.bought == 1
    assert (caught.value.type, caught.value.next_retry_delay) == ("ModelRateLimited", timedelta(minutes=5))
    async with database.transaction() as conn:
        cursor = await conn.execute("SELECT subject, status FROM agent_turns")
        assert [tuple(row.values()) for row in await cursor.fetchall()] == [("company 1", "stored")]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_long_pause_holds_for_all_workers(
    model: Scripted, database: Database, run_id: UUID, status: int
) -> None:
    async with model(fails(status, retry_after="100")) as server:
        with pytest.raises(ApplicationError) as caught:
            await server.run(run_id)
    assert caught.value.next_retry_delay == timedelta(seconds=100)
    with pytest.raises(RateLimitTimeoutError) as full:
        await RateLimit(database, "model:scripted", interval_s=0, wait_max_s=1).acquire()
    assert 90 < full.value.seconds_until_free <= 100
