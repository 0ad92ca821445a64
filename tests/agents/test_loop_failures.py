"""An agent call that breaks off goes on where it stopped: nothing paid for is bought twice, on whichever worker (LESSONS F22, F24, F26).

And what each failure of the model's service means for a retry, as Temporal is told it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.company.status import Interruption
from domain.request.progress import RunStatus, Stage
from domain.request.run_request import Limits
from local.demo.world import DEFAULT_SEED, generate_world
from settings import Settings
from store.database import Database
from store.runs import runs
from tests.agents.scripted_model import EMPTY_RESEARCH, INPUT_TOKENS, Model, calls, fails, opens, says, scripted
from tests.conftest import database_away
from tests.http_server import Reply
from tests.local.stack_helpers import eventually
from tests.store.rows import add_run
from web.gateway import ToolGateway

Scripted = Callable[..., AbstractAsyncContextManager[Model]]
SITE, SECOND_PAGE = next(
    (f"http://{host}/", f"http://{host}{next(path for path in site.pages if path != '/')}")
    for host, site in generate_world(DEFAULT_SEED).sites.items()
    if site.behaviour == "pages" and len(site.pages) > 1 and "/" in site.pages
)
TURNS = (
    opens(SITE),
    calls(("search_web", {"query": "property managers", "page": 1})),
    opens(SECOND_PAGE),
    says(EMPTY_RESEARCH),
)


@pytest.fixture
async def run_id(database: Database) -> UUID:
    async with database.transaction() as conn:
        return (await add_run(conn)).run_id


@pytest.fixture
def model(database: Database, gateway: ToolGateway, settings: Settings) -> Scripted:
    return partial(scripted, database, gateway, settings)


async def _turns(database: Database, run_id: UUID) -> list[str]:
    async with database.transaction() as conn:
        cursor = await conn.execute("SELECT status FROM agent_turns WHERE run_id = %s ORDER BY turn", (run_id,))
        return [row["status"] for row in await cursor.fetchall()]


# --- checkpoints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("same_worker", [True, False], ids=["same worker", "another worker"])
@pytest.mark.parametrize("broken_at", range(4))
async def test_f24_a_retry_buys_only_the_turns_that_are_missing(
    model: Scripted, database: Database, run_id: UUID, broken_at: int, same_worker: bool
) -> None:
    async with model(*TURNS[:broken_at], fails(500), *TURNS[broken_at:]) as server:
        first = server.new_worker()
        with pytest.raises(ApplicationError):
            await server.run(run_id, runner=first, seen=(SITE,))
        assert await _turns(database, run_id) == ["stored"] * broken_at, "the failed call is not charged"

        answer = await server.run(run_id, runner=first if same_worker else server.new_worker(), seen=(SITE,))

        assert answer.stop == "answered"
        assert server.bought == len(TURNS) + 1, "each turn once, and the call that failed"
        # The conversation that is continued is the one that was begun, tool results and all.
        assert server.asked(broken_at)["input"] == server.asked(broken_at + 1)["input"]
        assert answer.spend.model_calls == len(TURNS), "what earlier attempts bought is part of the price"
        assert {output["status"] for output in server.tool_outputs()} == {"ok"}


async def test_a_finished_call_asked_again_buys_nothing_and_answers_the_same(model: Scripted, run_id: UUID) -> None:
    async with model(*TURNS) as server:
        first = await server.run(run_id, seen=(SITE,))
        assert await server.run(run_id, seen=(SITE,)) == first
        assert server.bought == len(TURNS)


async def test_f22_a_call_cancelled_while_the_model_thinks_keeps_the_turns_before(
    model: Scripted, database: Database, run_id: UUID
) -> None:
    async with model(TURNS[0], Reply(after_s=0.9), *TURNS[1:]) as server:
        call = asyncio.create_task(server.run(run_id, seen=(SITE,)))
        assert await eventually(lambda: server.bought == 2, within_s=10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await _turns(database, run_id) == ["stored", "reserved"], (
            "it may have been charged: the money stays set aside"
        )

        assert (await server.run(run_id, seen=(SITE,))).stop == "answered"
        assert sorted(await _turns(database, run_id)) == ["lost"] + ["stored"] * len(TURNS), "and stays spent"
        assert server.bought == len(TURNS) + 1


async def test_f26_an_answer_is_held_for_a_database_that_goes_away_meanwhile(
    impatient_database: Database, database_url: str, gateway: ToolGateway, settings: Settings, run_id: UUID
) -> None:
    slow = Reply(200, says(EMPTY_RESEARCH).body, says("").headers, 0.5)
    async with scripted(impatient_database, gateway, settings, slow) as server:
        with capture_logs() as logged:
            call = asyncio.create_task(server.run(run_id))
            assert await eventually(lambda: server.bought == 1, within_s=10)
            async with database_away(database_url):
                not_yet = {"event": "not_stored_yet", "what": "model turn", "error": "PoolTimeout"}.items()
                assert await eventually(lambda: any(not_yet <= event.items() for event in logged), within_s=10)
        assert (await call).stop == "answered"
        assert server.bought == 1
    assert await _turns(impatient_database, run_id) == ["stored"]


@pytest.mark.parametrize("comes_back", [True, False])
async def test_f30_an_answer_that_has_come_outlives_the_step_that_a_drain_ends(
    database: Database,
    impatient_database: Database,
    database_url: str,
    gateway: ToolGateway,
    settings: Settings,
    run_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
    comes_back: bool,
) -> None:
    monkeypatch.setattr("store.database._HELD_AFTER_CANCELLATION_S", 10 if comes_back else 0.1)
    slow = Reply(200, says(EMPTY_RESEARCH).body, says("").headers, 0.5)
    async with scripted(impatient_database, gateway, settings, slow) as server:
        with capture_logs() as logged:
            call = asyncio.create_task(server.run(run_id))
            assert await eventually(lambda: server.bought == 1, within_s=10)
            async with database_away(database_url):
                assert await eventually(lambda: "not_stored_yet" in str(logged), within_s=10)
                call.cancel()
                _, waiting = await asyncio.wait([call], timeout=1)
                assert bool(waiting) == comes_back, "it is held on for a time, and no longer"
            with pytest.raises(asyncio.CancelledError):
                await call
    dropped = [event["log_level"] for event in logged if event["event"] == "paid_answer_dropped"]
    assert (await _turns(database, run_id), dropped) == ((["stored"], []) if comes_back else (["reserved"], ["error"]))


async def test_a_list_of_known_names_that_has_grown_still_finds_its_turns(model: Scripted, run_id: UUID) -> None:
    async with model(TURNS[0], fails(500), *TURNS[1:]) as server:
        with pytest.raises(ApplicationError):
            await server.run(run_id, seen=(SITE,), already_known=["Acme"])
        await server.run(run_id, seen=(SITE,), already_known=["Acme", "Bluebonnet"])
        assert server.bought == len(TURNS) + 1
        # And is continued with the words it was begun with.
        assert server.asked(-1)["input"][0] == server.asked(0)["input"][0]


@pytest.mark.parametrize("change", ["task", "subject", "run"])
async def test_another_question_is_another_conversation(
    model: Scripted, database: Database, run_id: UUID, change: str
) -> None:
    async with database.transaction() as conn:
        other_run = (await add_run(conn)).run_id
    async with model(says(EMPTY_RESEARCH), says(EMPTY_RESEARCH)) as server:
        await server.run(run_id, subject="company 1", city="Austin")
        await server.run(
            other_run if change == "run" else run_id,
            subject="company 2" if change == "subject" else "company 1",
            city="Dallas" if change == "task" else "Austin",
        )
        assert server.bought == 2


# --- money -----------------------------------------------------------------------------------------------------------


async def test_a_budget_that_is_reached_interrupts_and_raised_goes_on_where_it_stopped(
    model: Scripted, database: Database
) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn, limits=Limits(max_model_calls=2))
    async with model(*TURNS) as server:
        answer = await server.run(request.run_id, seen=(SITE,))
        assert (answer.stop, answer.interruption, answer.output) == ("interrupted", Interruption.BUDGET_REACHED, None)
        assert answer.spend.model_calls == server.bought == 2

        async with database.transaction() as conn:
            await runs.amend(conn, request.model_copy(update={"limits": Limits(max_model_calls=4)}))
        assert (await server.run(request.run_id, seen=(SITE,))).stop == "answered"
        assert server.bought == len(TURNS)


async def test_a_budget_below_the_price_of_the_longest_answer_buys_nothing(model: Scripted, database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn, limits=Limits(max_cost_usd=0.001))).run_id
    async with model(*TURNS) as server:
        assert (await server.run(run_id)).interruption is Interruption.BUDGET_REACHED
        assert server.bought == 0


async def test_f15_a_run_that_waits_for_a_person_buys_nothing(
    model: Scripted, database: Database, run_id: UUID
) -> None:
    async with database.transaction() as conn:
        await runs.set_state(conn, run_id, Stage.COMPANY_RESEARCH, RunStatus.NEEDS_USER_DECISION, "")
    async with model(*TURNS) as server:
        assert (await server.run(run_id)).interruption is Interruption.RUN_WAITING
        assert server.bought == 0


# --- failures of the model's service ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "type_", "is_retried"),
    [
        (fails(429), "ModelRateLimited", True),
        (fails(429, "insufficient_quota"), "ModelQuotaExceeded", False),
        (fails(408), "ModelServerError", True),
        (fails(409), "ModelServerError", True),
        (fails(500), "ModelServerError", True),
        (fails(503), "ModelServerError", True),
        (fails(401), "ModelAccessDenied", False),
        (fails(403), "ModelAccessDenied", False),
        (fails(404), "ModelAccessDenied", False),
        (fails(400), "ModelBadRequest", False),
        (fails(400, "context_length_exceeded"), "ModelBadRequest", False),
        (fails(422), "ModelBadRequest", False),
        (Reply(500, b"<html>oops</html>", {"content-type": "text/html"}), "ModelServerError", True),
    ],
    ids=lambda value: f"{value.status}" if isinstance(value, Reply) else None,
)
async def test_f65_every_failure_has_a_type_and_says_whether_to_try_again(
    model: Scripted, database: Database, run_id: UUID, failure: Reply, type_: str, is_retried: bool
) -> None:
    async with model(failure) as server:
        with pytest.raises(ApplicationError) as caught:
            await server.run(run_id)
        assert server.bought == 1, "Temporal retries, the client does not"
    assert (caught.value.type, caught.value.non_retryable) == (type_, not is_retried)
    assert await _turns(database, run_id) == [], "what was refused is not charged"
    assert "scripted" not in str(caught.value), "no key in a message"


@pytest.mark.parametrize(
    ("header", "value", "delay_s"),
    [
        ("retry-after", "77", 77),
        ("retry-after", "77.5", 77.5),
        ("retry-after-ms", "91500", 91.5),
        ("retry-after", "99999", 300),
        ("retry-after", "Fri, 31 Dec 2100 23:59:59 GMT", 300),
        ("retry-after", "Thu, 31 Dec 2015 23:59:59 GMT", None),
        ("retry-after", "soon", None),
        ("retry-after", "-3", None),
        ("retry-after", "nan", None),
        ("retry-after", "inf", None),
        ("x-other", "1", None),
    ],
)
async def test_the_pause_that_a_server_asks_for_is_the_next_retrys_delay(
    model: Scripted, run_id: UUID, header: str, value: str, delay_s: float | None
) -> None:
    async with model(fails(429, **{header: value})) as server:
        with pytest.raises(ApplicationError) as caught:
            await server.run(run_id)
    wanted = None if delay_s is None else timedelta(seconds=delay_s)
    assert caught.value.next_retry_delay == wanted
    assert caught.value.category is ApplicationErrorCategory.BENIGN


async def test_a_short_pause_that_the_model_asks_for_is_waited_for_and_is_no_failed_attempt(
    model: Scripted, database: Database, run_id: UUID
) -> None:
    slow_down = fails(429, **{"retry-after-ms": "20"})
    async with model(slow_down, slow_down, says(EMPTY_RESEARCH)) as server:
        assert (await server.run(run_id)).stop == "answered"
        assert server.bought == 3, "asked, and not charged, twice"
    assert await _turns(database, run_id) == ["stored"]


async def test_a_model_that_asks_for_pauses_without_end_ends_the_attempt(model: Scripted, run_id: UUID) -> None:
    async with model(*[fails(429, **{"retry-after-ms": "20"})] * 20) as server:
        with pytest.raises(ApplicationError) as caught:
            await server.run(run_id)
        assert (caught.value.type, server.bought) == ("ModelRateLimited", 6)


async def test_f25_a_model_that_hangs_is_unreachable_and_its_money_stays_set_aside(
    model: Scripted, database: Database, run_id: UUID
) -> None:
    async with model(Reply(after_s=30), says(EMPTY_RESEARCH)) as server:
        with pytest.raises(ApplicationError) as caught:
            await server.run(run_id)
        assert (caught.value.type, caught.value.non_retryable) == ("ModelUnreachable", False)
        assert await _turns(database, run_id) == ["lost"]
        assert (await server.run(run_id)).stop == "answered"
        assert sorted(await _turns(database, run_id)) == ["lost", "stored"]


@pytest.mark.parametrize(
    "failure",
    [fails(502), fails(504), fails(524), Reply(200, b"{", {"content-type": "application/json"})],
    ids=["502", "504", "524", "not JSON"],
)
async def test_a_call_that_may_have_been_charged_stays_spent(
    model: Scripted, database: Database, run_id: UUID, failure: Reply
) -> None:
    async with model(failure) as server:
        with pytest.raises(ApplicationError) as caught:
            await server.run(run_id)
    assert caught.value.type == "ModelServerError"
    assert await _turns(database, run_id) == ["lost"]


async def test_an_answer_that_does_not_say_what_it_used_costs_the_most_it_can(
    model: Scripted, database: Database, run_id: UUID
) -> None:
    silent = says(EMPTY_RESEARCH)
    silent = Reply(body=silent.body.replace(b'"usage"', b'"other"'), headers=silent.headers)
    async with model(silent) as server:
        answer = await server.run(run_id)
        assert answer.spend.cost_usd > (len(json.dumps(server.asked(0))) + 4 * 8000) / 1_000_000
    async with database.transaction() as conn:
        assert (await runs.spend(conn, run_id))["cost_usd"] == pytest.approx(answer.spend.cost_usd)


async def test_of_two_workers_on_one_conversation_the_later_goes_on_and_both_are_paid(
    model: Scripted, database: Database, run_id: UUID
) -> None:
    async with model(Reply(200, says("Sure!").body, says("").headers, 0.5), says(EMPTY_RESEARCH)) as server:
        thought_dead = asyncio.create_task(server.run(run_id))
        assert await eventually(lambda: server.bought == 1, within_s=10)
        assert (await server.run(run_id)).stop == "answered"
        with pytest.raises(ApplicationError, match="another worker goes on"):
            await thought_dead
    assert sorted(await _turns(database, run_id)) == ["lost", "stored"]
    async with database.transaction() as conn:
        spend = await runs.spend(conn, run_id)
    assert (spend["model_calls"], spend["input_tokens"]) == (2, 2 * INPUT_TOKENS)


async def test_a_model_that_is_not_there_is_unreachable_and_charges_nothing(
    model: Scripted, database: Database, run_id: UUID
) -> None:
    async with model() as server:
        runner = server.new_worker()
        server.server.stop()
        with pytest.raises(ApplicationError) as caught:
            await server.run(run_id, runner=runner)
    assert (caught.value.type, caught.value.non_retryable) == ("ModelUnreachable", False)
    assert await _turns(database, run_id) == []
