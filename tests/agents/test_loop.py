"""One agent call ends in a typed answer, and a retry continues it without buying a turn twice."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from uuid import UUID

import pytest
from temporalio.exceptions import ApplicationError

from agents.roles import company_research, discovery
from agents.roles.company_research import ResearchOutput
from agents.roles.discovery import DiscoveryOutput
from domain.company.status import Interruption
from domain.request.progress import RunStatus, Stage
from domain.request.run_request import Limits
from local.demo.world import DEFAULT_SEED, generate_world
from store.database import Database
from store.runs import runs
from tests.agents.conftest import Scripted, turn_statuses
from tests.agents.scripted_model import (
    EMPTY_RESEARCH,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    calls,
    cut_off,
    fails,
    opens,
    refuses,
    says,
)
from tests.http_server import Reply
from tests.local.stack_helpers import eventually
from tests.store.rows import add_run

PRICE_USD = (INPUT_TOKENS * 1.0 + OUTPUT_TOKENS * 4.0) / 1_000_000  # prices of the fixture `settings`
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
HALF = json.dumps(EMPTY_RESEARCH)[:40]


# --- answers ---------------------------------------------------------------------------------------------------------


async def test_an_answer_ends_the_call_and_states_its_price(model: Scripted, run_id: UUID) -> None:
    async with model(says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id)
        assert (answer.stop, answer.output) == ("answered", ResearchOutput.model_validate(EMPTY_RESEARCH))
        assert answer.spend.cost_usd == pytest.approx(PRICE_USD)
        assert answer.spend.model_calls == server.bought == 1


@pytest.mark.parametrize(
    ("first", "told"),
    [(says("Here is what I found!"), "did not fit the schema"), (cut_off(HALF), "too long")],
    ids=["prose", "cut off"],
)
async def test_an_unusable_answer_gets_one_repair_turn(model: Scripted, run_id: UUID, first: Reply, told: str) -> None:
    async with model(first, says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id)
        assert answer.stop == "answered"
        assert answer.spend.model_calls == server.bought == 2
        assert told in server.asked(1)["input"][-1]["content"]


@pytest.mark.parametrize(
    ("script", "stop"),
    [
        ((says("Sure!"), says('{"units": "many"}')), "unreadable"),
        ((cut_off(HALF), cut_off(HALF)), "cut_off"),
        ((refuses(),), "refused"),
    ],
    ids=["prose", "cut off", "refusal"],
)
async def test_an_unusable_answer_ends_the_call_with_its_reason(
    model: Scripted, run_id: UUID, script: tuple[Reply, ...], stop: str
) -> None:
    async with model(*script, says(EMPTY_RESEARCH)) as server:
        for _ in range(2):  # the second time from stored turns
            answer = await server.run(run_id)
            assert (answer.stop, answer.output, server.bought) == (stop, None, len(script))


async def test_a_nul_in_an_answer_is_removed(model: Scripted, run_id: UUID) -> None:
    company = {
        **dict.fromkeys(("url", "state", "phone")),
        "name": "A\x00cme",
        "city": "Aus\x00tin",
        "citation": {"result_id": "r1", "quote": "words"},
    }
    async with model(says({"companies": [company]})) as server:
        answer = await server.run(run_id, role=discovery.ROLE)
    assert isinstance(answer.output, DiscoveryOutput)
    assert (answer.output.companies[0].name, answer.output.companies[0].city) == ("Acme", "Austin")


async def test_the_last_turn_offers_no_tools_and_keeps_what_was_read(model: Scripted, run_id: UUID) -> None:
    role = dataclasses.replace(company_research.ROLE, turns_max=2)
    async with model(opens(SITE), opens(SITE)) as server:
        answer = await server.run(run_id, role=role, allowed=(SITE,))
        first, last = server.asked(0), server.asked(1)
    assert "tools" not in last
    assert "parallel_tool_calls" not in last, "servers refuse it without tools"
    assert first["parallel_tool_calls"] is True
    assert "Answer now" in last["input"][-1]["content"]
    assert (answer.stop, answer.output, len(answer.results)) == ("limit", None, 1)


# --- retries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("same_worker", [True, False], ids=["same worker", "another worker"])
@pytest.mark.parametrize("broken_at", range(4))
async def test_a_retry_buys_only_the_missing_turns(
    model: Scripted, database: Database, run_id: UUID, broken_at: int, same_worker: bool
) -> None:
    async with model(*TURNS[:broken_at], fails(500), *TURNS[broken_at:]) as server:
        first = server.new_worker()
        with pytest.raises(ApplicationError):
            await server.run(run_id, runner=first, allowed=(SITE,))
        assert await turn_statuses(database, run_id) == ["stored"] * broken_at, "the failed call is not charged"

        answer = await server.run(run_id, runner=first if same_worker else server.new_worker(), allowed=(SITE,))

        assert answer.stop == "answered"
        assert server.bought == len(TURNS) + 1, "each turn once, and the call that failed"
        assert server.asked(broken_at)["input"] == server.asked(broken_at + 1)["input"], "the same conversation"
        assert answer.spend.model_calls == len(TURNS), "earlier attempts are part of the price"
        assert {output["status"] for output in server.tool_outputs()} == {"ok"}


async def test_a_finished_call_is_answered_from_stored_turns(model: Scripted, run_id: UUID) -> None:
    async with model(*TURNS) as server:
        first = await server.run(run_id, allowed=(SITE,))
        assert await server.run(run_id, allowed=(SITE,)) == first
        assert server.bought == len(TURNS)


async def test_cancellation_keeps_the_turns_before(model: Scripted, database: Database, run_id: UUID) -> None:
    async with model(TURNS[0], Reply(after_s=30), *TURNS[1:], timeout_s=60) as server:
        call = asyncio.create_task(server.run(run_id, allowed=(SITE,)))
        assert await eventually(lambda: server.bought == 2, within_s=10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await turn_statuses(database, run_id) == ["stored", "reserved"], "it may have been charged"

        assert (await server.run(run_id, allowed=(SITE,))).stop == "answered"
        assert sorted(await turn_statuses(database, run_id)) == ["lost"] + ["stored"] * len(TURNS), "and stays spent"
        assert server.bought == len(TURNS) + 1


async def test_a_longer_list_of_known_names_continues_the_conversation(model: Scripted, run_id: UUID) -> None:
    async with model(TURNS[0], fails(500), *TURNS[1:]) as server:
        with pytest.raises(ApplicationError):
            await server.run(run_id, allowed=(SITE,), already_known=["Acme"])
        await server.run(run_id, allowed=(SITE,), already_known=["Acme", "Bluebonnet"])
        assert server.bought == len(TURNS) + 1
        assert server.asked(-1)["input"][0] == server.asked(0)["input"][0], "with the input it began with"


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


# --- limits of the run -----------------------------------------------------------------------------------------------


async def test_a_raised_budget_continues_where_the_call_stopped(model: Scripted, database: Database) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn, limits=Limits(max_model_calls=2))
    async with model(*TURNS) as server:
        answer = await server.run(request.run_id, allowed=(SITE,))
        assert (answer.stop, answer.interruption, answer.output) == ("interrupted", Interruption.BUDGET_REACHED, None)
        assert answer.spend.model_calls == server.bought == 2

        async with database.transaction() as conn:
            await runs.amend(conn, request.model_copy(update={"limits": Limits(max_model_calls=4)}))
        assert (await server.run(request.run_id, allowed=(SITE,))).stop == "answered"
        assert server.bought == len(TURNS)


async def test_a_budget_below_the_longest_answer_buys_nothing(model: Scripted, database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn, limits=Limits(max_cost_usd=0.001))).run_id
    async with model(*TURNS) as server:
        assert (await server.run(run_id)).interruption is Interruption.BUDGET_REACHED
        assert server.bought == 0


async def test_a_run_that_waits_for_a_decision_buys_nothing(model: Scripted, database: Database, run_id: UUID) -> None:
    async with database.transaction() as conn:
        await runs.set_state(conn, run_id, Stage.COMPANY_RESEARCH, RunStatus.NEEDS_USER_DECISION, "")
    async with model(*TURNS) as server:
        assert (await server.run(run_id)).interruption is Interruption.RUN_WAITING
        assert server.bought == 0
