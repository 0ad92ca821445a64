"""Model turns: money is set aside before a call and never beyond the run's limits, and what was answered is kept (LESSONS F26)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from domain.company import Interruption
from domain.progress import RunStatus, Stage
from domain.request import Limits
from store import agent_turns, runs
from store.agent_turns import TurnKey
from store.database import Database
from tests.store.rows import add_run

TASK = {"task": "discovery", "query": "property managers"}
ANSWER = [{"type": "message", "content": [{"type": "output_text", "text": "{}"}]}]


async def _run(database: Database, limits: Limits | None = None) -> UUID:
    async with database.transaction() as conn:
        return (await add_run(conn, limits=limits)).run_id


def _key(run_id: UUID, subject: str = "task 1") -> TurnKey:
    return TurnKey(run_id=run_id, subject=subject, role="discovery", input_hash="h")


async def _reserve(database: Database, key: TurnKey, turn: int = 0, usd: float = 0.1) -> Interruption | None:
    async with database.transaction() as conn:
        return await agent_turns.reserve_turn(conn, key, turn, "model", usd, TASK if turn == 0 else None)


async def _settle(database: Database, key: TurnKey, turn: int = 0, usd: float = 0.05) -> None:
    async with database.transaction() as conn:
        await agent_turns.settle_turn(conn, key, turn, ANSWER, input_tokens=100, output_tokens=10, cost_usd=usd)


async def _committed(database: Database, run_id: UUID) -> tuple[float, int]:
    async with database.transaction() as conn:
        cursor = await conn.execute(
            "SELECT coalesce(sum(cost_usd), 0)::float8 AS usd, count(*) AS calls FROM agent_turns WHERE run_id = %s",
            (run_id,),
        )
        row = await cursor.fetchone()
    assert row is not None
    return row["usd"], row["calls"]


@pytest.mark.parametrize(
    "limits", [Limits(max_cost_usd=0.75), Limits(max_model_calls=7)], ids=["money", "number of calls"]
)
async def test_twenty_reservations_at_once_never_exceed_the_budget(database: Database, limits: Limits) -> None:
    run_id = await _run(database, limits)
    all_connected = asyncio.Barrier(20)

    async def reserve(subject: str) -> Interruption | None:
        async with database.transaction() as conn:
            await all_connected.wait()
            return await agent_turns.reserve_turn(conn, _key(run_id, subject), 0, "model", 0.1, TASK)

    answers = await asyncio.gather(*(reserve(f"company {number}") for number in range(20)))

    assert sorted(answer or "bought" for answer in answers) == ["bought"] * 7 + [Interruption.BUDGET_REACHED] * 13
    usd, calls = await _committed(database, run_id)
    assert calls == 7
    assert usd == pytest.approx(0.7)


async def test_the_limit_itself_may_be_reached_but_not_passed(database: Database) -> None:
    run_id = await _run(database, Limits(max_cost_usd=1.0))
    assert await _reserve(database, _key(run_id, "a"), usd=1.0) is None
    assert await _reserve(database, _key(run_id, "b"), usd=0.000001) is Interruption.BUDGET_REACHED


async def test_an_answer_gives_back_what_it_did_not_cost(database: Database) -> None:
    run_id = await _run(database, Limits(max_cost_usd=0.10))
    assert await _reserve(database, _key(run_id, "a"), usd=0.10) is None
    assert await _reserve(database, _key(run_id, "b"), usd=0.06) is Interruption.BUDGET_REACHED
    await _settle(database, _key(run_id, "a"), usd=0.04)
    assert await _reserve(database, _key(run_id, "b"), usd=0.06) is None


async def test_a_refused_call_gives_all_of_it_back_and_an_answered_one_cannot_be_released(database: Database) -> None:
    run_id = await _run(database, Limits(max_cost_usd=0.10))
    for turn in (0, 1):
        assert await _reserve(database, _key(run_id), turn, usd=0.05) is None
    await _settle(database, _key(run_id), turn=0, usd=0.05)
    async with database.transaction() as conn:
        for turn in (0, 1):
            await agent_turns.release_turn(conn, _key(run_id), turn)

    assert await _committed(database, run_id) == (0.05, 1)


async def test_a_dead_workers_reservation_is_reused_not_doubled(database: Database) -> None:
    run_id = await _run(database, Limits(max_cost_usd=0.10, max_model_calls=1))
    assert await _reserve(database, _key(run_id), usd=0.10) is None

    assert await _reserve(database, _key(run_id), usd=0.10) is None

    assert await _committed(database, run_id) == (0.10, 1)


async def test_what_is_stored_as_the_task_is_what_the_answer_was_bought_with(database: Database) -> None:
    key = _key(await _run(database))
    grown = TASK | {"already_known": ["Acme"]}
    async with database.transaction() as conn:
        await agent_turns.reserve_turn(conn, key, 0, "model", 0.1, TASK)  # this worker dies before it asks
        await agent_turns.reserve_turn(conn, key, 0, "model", 0.3, grown)
    assert await _committed(database, key.run_id) == (0.3, 1)
    await _settle(database, key)

    async with database.transaction() as conn:
        assert [turn.task for turn in await agent_turns.load_turns(conn, key)] == [grown]


@pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.ACTIVE])
async def test_f15_a_run_that_is_not_active_buys_nothing(database: Database, status: RunStatus) -> None:
    run_id = await _run(database)
    async with database.transaction() as conn:
        await runs.set_state(conn, run_id, Stage.COMPANY_DISCOVERY, status, "")

    assert await _reserve(database, _key(run_id)) is Interruption.RUN_WAITING
    assert await _committed(database, run_id) == (0.0, 0)


async def test_f33_a_run_that_is_gone_buys_nothing(database: Database) -> None:
    assert await _reserve(database, _key(uuid4())) is Interruption.RUN_WAITING


async def test_one_runs_spending_is_not_anothers(database: Database) -> None:
    rich, poor = await _run(database, Limits(max_cost_usd=0.1)), await _run(database, Limits(max_cost_usd=0.1))
    assert await _reserve(database, _key(rich)) is None
    assert await _reserve(database, _key(poor)) is None


async def test_f24_answered_turns_come_back_in_order_and_a_reserved_one_does_not(database: Database) -> None:
    key = _key(await _run(database))
    for turn in (0, 1, 2):
        await _reserve(database, key, turn)
    for turn in (1, 0):
        await _settle(database, key, turn, usd=0.01 * (turn + 1))

    async with database.transaction() as conn:
        turns: Sequence[agent_turns.StoredTurn] = await agent_turns.load_turns(conn, key)
        other = await agent_turns.load_turns(conn, key.model_copy(update={"input_hash": "other"}))
        spend = await runs.spend(conn, key.run_id)

    assert [(turn.cost_usd, turn.task) for turn in turns] == [(0.01, TASK), (0.02, None)]
    assert all(turn.output == ANSWER for turn in turns)
    assert other == []
    assert (spend["model_calls"], spend["input_tokens"], spend["output_tokens"]) == (2, 200, 20)
    assert spend["cost_usd"] == pytest.approx(0.03)


async def test_of_two_answers_to_one_turn_the_first_stands(database: Database) -> None:
    key = _key(await _run(database))
    await _reserve(database, key)
    await _settle(database, key, usd=0.01)
    await _settle(database, key, usd=0.99)
    assert await _committed(database, key.run_id) == (0.01, 1)


async def test_f26_an_answer_with_a_nul_in_it_is_stored_not_bought_again_for_ever(database: Database) -> None:
    key = _key(await _run(database))
    await _reserve(database, key)
    broken = [{"type": "message", "content": [{"type": "output_text", "text": "A\x00cme \\u0000"}]}]
    async with database.transaction() as conn:
        await agent_turns.settle_turn(conn, key, 0, broken, input_tokens=1, output_tokens=1, cost_usd=0.01)
        turns = await agent_turns.load_turns(conn, key)
    assert turns[0].output[0]["content"][0]["text"] == "Acme \\u0000"
