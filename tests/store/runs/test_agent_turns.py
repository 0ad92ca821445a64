"""Model turns stay within the run's limits and are bought once."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from domain.company.status import Interruption
from domain.request.progress import RunStatus, Stage
from domain.request.run_request import Limits
from store.database import Database
from store.runs import agent_turns, runs
from store.runs.agent_turns import Reservation, StoredTurn, TurnKey
from tests.store.rows import add_run

TASK = {"task": "discovery", "query": "property managers"}
ANSWER = [{"type": "message", "content": [{"type": "output_text", "text": "{}"}]}]


async def _run(database: Database, limits: Limits | None = None) -> UUID:
    async with database.transaction() as conn:
        return (await add_run(conn, limits=limits)).run_id


def _key(run_id: UUID, subject: str = "task 1") -> TurnKey:
    return TurnKey(run_id=run_id, subject=subject, role="discovery", input_hash="h")


async def _asked(
    database: Database, key: TurnKey, turn: int = 0, usd: float = 0.1
) -> Reservation | StoredTurn | Interruption:
    async with database.transaction() as conn:
        return await agent_turns.reserve_turn(conn, key, turn, "model", usd, TASK if turn == 0 else None)


async def _reserve(database: Database, key: TurnKey, turn: int = 0, usd: float = 0.1) -> Reservation:
    reserved = await _asked(database, key, turn, usd)
    assert isinstance(reserved, Reservation)
    return reserved


async def _settle(database: Database, reserved: Reservation, usd: float | None = 0.05) -> bool:
    async with database.transaction() as conn:
        return await agent_turns.complete_turn(conn, reserved, ANSWER, input_tokens=100, output_tokens=10, cost_usd=usd)


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
async def test_concurrent_reservations_never_exceed_the_budget(database: Database, limits: Limits) -> None:
    run_id = await _run(database, limits)
    all_connected = asyncio.Barrier(20)

    async def reserve(subject: str) -> str:
        async with database.transaction() as conn:
            await all_connected.wait()
            asked = await agent_turns.reserve_turn(conn, _key(run_id, subject), 0, "model", 0.1, TASK)
            return asked if isinstance(asked, Interruption) else "bought"

    answers = await asyncio.gather(*(reserve(f"company {number}") for number in range(20)))

    assert sorted(answers) == ["bought"] * 7 + [Interruption.BUDGET_REACHED] * 13
    usd, calls = await _committed(database, run_id)
    assert calls == 7
    assert usd == pytest.approx(0.7)


async def test_the_limit_can_be_reached_but_not_exceeded(database: Database) -> None:
    run_id = await _run(database, Limits(max_cost_usd=1.0))
    await _reserve(database, _key(run_id, "a"), usd=1.0)
    assert await _asked(database, _key(run_id, "b"), usd=0.000_000_001) is Interruption.BUDGET_REACHED


async def test_costs_add_up_exactly(database: Database) -> None:
    run_id = await _run(database, Limits(max_cost_usd=1.0))
    for number in range(10):
        await _reserve(database, _key(run_id, str(number)), usd=0.1)
    assert (await _committed(database, run_id)) == (1.0, 10)


async def test_a_tiny_cost_is_counted(database: Database) -> None:
    run_id = await _run(database)
    for number in range(100):
        await _settle(database, await _reserve(database, _key(run_id, str(number))), usd=0.000_000_15)
    assert (await _committed(database, run_id))[0] == pytest.approx(0.000_015)


async def test_an_answer_releases_the_unspent_amount(database: Database) -> None:
    run_id = await _run(database, Limits(max_cost_usd=0.10))
    reserved = await _reserve(database, _key(run_id, "a"), usd=0.10)
    assert await _asked(database, _key(run_id, "b"), usd=0.06) is Interruption.BUDGET_REACHED
    await _settle(database, reserved, usd=0.04)
    await _reserve(database, _key(run_id, "b"), usd=0.06)


async def test_an_unknown_price_costs_the_reservation(database: Database) -> None:
    key = _key(await _run(database))
    await _settle(database, await _reserve(database, key, usd=0.3), usd=None)
    assert await _committed(database, key.run_id) == (0.3, 1)


async def test_only_an_unanswered_call_can_be_released(database: Database) -> None:
    run_id = await _run(database, Limits(max_cost_usd=0.10))
    both = [await _reserve(database, _key(run_id), turn, usd=0.05) for turn in (0, 1)]
    await _settle(database, both[0], usd=0.05)
    async with database.transaction() as conn:
        for reserved in both:
            await agent_turns.release_turn(conn, reserved)

    assert await _committed(database, run_id) == (0.05, 1)


async def test_a_lost_call_stays_spent_and_is_bought_again(database: Database) -> None:
    key = _key(await _run(database, Limits(max_cost_usd=0.25, max_model_calls=2)))
    await _reserve(database, key, usd=0.10)  # its worker dies: nobody knows whether it was charged
    await _settle(database, await _reserve(database, key, usd=0.12), usd=0.02)

    assert await _committed(database, key.run_id) == (0.12, 2)
    async with database.transaction() as conn:
        assert [turn.cost_usd for turn in await agent_turns.load_turns(conn, key)] == [0.02]
        assert (await runs.spend(conn, key.run_id))["cost_usd"] == pytest.approx(0.12)
    assert await _asked(database, key, turn=1, usd=0.01) is Interruption.BUDGET_REACHED, "both calls count"


async def test_a_lost_call_counts_against_the_limit(database: Database) -> None:
    key = _key(await _run(database, Limits(max_cost_usd=0.10)))
    await _reserve(database, key, usd=0.06)
    assert await _asked(database, key, usd=0.06) is Interruption.BUDGET_REACHED
    assert await _committed(database, key.run_id) == (0.06, 1)


async def test_a_late_answer_only_corrects_the_price(database: Database) -> None:
    key = _key(await _run(database))
    late, prompt = await _reserve(database, key, usd=0.10), await _reserve(database, key, usd=0.10)
    assert not await _settle(database, late, usd=0.03)
    assert await _committed(database, key.run_id) == (0.13, 2)
    assert await _settle(database, prompt, usd=0.04)
    assert await _committed(database, key.run_id) == (0.07, 2)
    async with database.transaction() as conn:
        assert [turn.cost_usd for turn in await agent_turns.load_turns(conn, key)] == [0.04]


async def test_an_open_call_of_an_ended_run_stays_spent(database: Database) -> None:
    run_id = await _run(database)
    reserved = await _reserve(database, _key(run_id))
    async with database.transaction() as conn:
        assert (await runs.spend(conn, run_id))["model_calls"] == 0, "under way"
        await agent_turns.mark_open_turns_lost(conn, run_id)
        spent = await runs.spend(conn, run_id)
    assert (spent["cost_usd"], spent["model_calls"]) == (0.1, 1)
    assert not await _settle(database, reserved), "nobody goes on with it"
    async with database.transaction() as conn:
        assert (await runs.spend(conn, run_id))["cost_usd"] == 0.05
    assert isinstance(await _asked(database, _key(run_id)), Reservation), "the restarted run can buy that turn"


async def test_a_lost_call_can_still_be_released(database: Database) -> None:
    key = _key(await _run(database))
    reserved = await _reserve(database, key)
    async with database.transaction() as conn:
        await agent_turns.mark_turn_lost(conn, reserved)
        await agent_turns.release_turn(conn, reserved)
    assert await _committed(database, key.run_id) == (0.0, 0)


async def test_an_answered_turn_is_not_bought_again(database: Database) -> None:
    key = _key(await _run(database, Limits(max_model_calls=1)))
    await _settle(database, await _reserve(database, key), usd=0.05)
    assert await _asked(database, key) == StoredTurn(output=ANSWER, cost_usd=0.05, task=TASK)
    assert await _committed(database, key.run_id) == (0.05, 1)


async def test_a_reservation_waits_for_an_arriving_answer(database: Database) -> None:
    key = _key(await _run(database))
    reserved = await _reserve(database, key)
    async with database.transaction() as conn:
        await agent_turns.complete_turn(conn, reserved, ANSWER, input_tokens=1, output_tokens=1, cost_usd=0.05)
        asked = asyncio.create_task(_asked(database, key))
        async with database.transaction() as other, asyncio.timeout(10):
            waits = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted"
            while (await (await other.execute(waits)).fetchall())[0]["n"] == 0:
                assert not asked.done(), "it did not wait for the answer that is being stored"
    assert await asked == StoredTurn(output=ANSWER, cost_usd=0.05, task=TASK)


async def test_the_stored_task_is_the_one_that_was_answered(database: Database) -> None:
    key = _key(await _run(database))
    grown = TASK | {"already_known": ["Acme"]}
    await _reserve(database, key)  # this worker dies before it asks
    async with database.transaction() as conn:
        reserved = await agent_turns.reserve_turn(conn, key, 0, "model", 0.3, grown)
    assert isinstance(reserved, Reservation)
    await _settle(database, reserved)

    async with database.transaction() as conn:
        assert [turn.task for turn in await agent_turns.load_turns(conn, key)] == [grown]


@pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.ACTIVE])
async def test_an_inactive_run_buys_nothing(database: Database, status: RunStatus) -> None:
    run_id = await _run(database)
    async with database.transaction() as conn:
        await runs.set_state(conn, run_id, Stage.COMPANY_DISCOVERY, status, "")

    assert await _asked(database, _key(run_id)) is Interruption.RUN_WAITING
    assert await _committed(database, run_id) == (0.0, 0)


async def test_a_deleted_run_buys_nothing(database: Database) -> None:
    assert await _asked(database, _key(uuid4())) is Interruption.RUN_WAITING


async def test_spending_is_counted_per_run(database: Database) -> None:
    rich, poor = await _run(database, Limits(max_cost_usd=0.1)), await _run(database, Limits(max_cost_usd=0.1))
    await _reserve(database, _key(rich))
    await _reserve(database, _key(poor))


async def test_stored_turns_load_in_order(database: Database) -> None:
    key = _key(await _run(database))
    reserved = [await _reserve(database, key, turn) for turn in (0, 1, 2)]
    for turn in (1, 0):
        await _settle(database, reserved[turn], usd=0.01 * (turn + 1))

    async with database.transaction() as conn:
        turns = await agent_turns.load_turns(conn, key)
        other = await agent_turns.load_turns(conn, key.model_copy(update={"input_hash": "other"}))
        spend = await runs.spend(conn, key.run_id)

    assert [(turn.cost_usd, turn.task) for turn in turns] == [(0.01, TASK), (0.02, None)]
    assert all(turn.output == ANSWER for turn in turns)
    assert other == []
    assert (spend["model_calls"], spend["input_tokens"], spend["output_tokens"]) == (2, 200, 20)
    assert spend["cost_usd"] == pytest.approx(0.03)


async def test_an_answer_stored_twice_is_paid_once(database: Database) -> None:
    key = _key(await _run(database))
    reserved = await _reserve(database, key)
    assert [await _settle(database, reserved, usd=0.01) for _ in range(2)] == [True, True]
    assert await _committed(database, key.run_id) == (0.01, 1)


async def test_an_answer_with_a_nul_is_stored(database: Database) -> None:
    key = _key(await _run(database))
    reserved = await _reserve(database, key)
    broken = [{"type": "message", "content": [{"type": "output_text", "text": "A\x00cme \\u0000"}]}]
    async with database.transaction() as conn:
        await agent_turns.complete_turn(conn, reserved, broken, input_tokens=1, output_tokens=1, cost_usd=0.01)
        turns = await agent_turns.load_turns(conn, key)
    assert turns[0].output[0]["content"][0]["text"] == "Acme \\u0000"
