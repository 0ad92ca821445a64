"""Stored runs."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from psycopg.errors import CheckViolation

from domain.request.criteria import parse_criteria
from domain.request.decision import DecisionAction, DecisionReason, DecisionRequest
from domain.request.progress import RunStatus, Stage
from domain.request.run_request import Limits, workflow_id_of
from store.database import Database
from store.runs import audit, runs
from tests.store.rows import add_company, add_run, audit_events, complete, run_request

QUESTION = DecisionRequest(
    decision_id="d1",
    reason=DecisionReason.CANDIDATES_EXHAUSTED,
    message="3 of 5 found",
    funnel={"found": 9},
    options=(),
    default=DecisionAction.ACCEPT_PARTIAL,
    deadline=datetime(2030, 1, 1, tzinfo=UTC),
)


async def test_a_run_loads_as_requested(database: Database) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn, target=7, contacts_min=2, limits=Limits(max_cost_usd=1.5))
        row = await runs.get_run(conn, request.run_id)

    assert row.criteria == row.criteria_asked == request.criteria
    assert (row.target_quantity, row.contacts_min, row.contacts_max) == (7, 2, 3)
    assert row.limits.max_cost_usd == 1.5
    assert (row.stage, row.status) == (Stage.COMPANY_DISCOVERY, RunStatus.ACTIVE)
    assert row.notify_email == "asker@customer.example"
    assert row.finished_at is None


async def test_an_existing_run_id_changes_nothing(database: Database) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn, target=7)
        again = request.model_copy(update={"target_quantity": 9})

        assert not await runs.insert_run(conn, again, workflow_id_of(again.run_id), None)
        assert (await runs.get_run(conn, request.run_id)).target_quantity == 7


async def test_an_unknown_run_is_none_or_an_error(database: Database) -> None:
    async with database.transaction() as conn:
        assert await runs.find_run(conn, uuid4()) is None
        with pytest.raises(LookupError):
            await runs.get_run(conn, uuid4())


async def test_runs_are_found_by_id_prefix_without_wildcards(database: Database) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn)
        await add_run(conn)

        found = await runs.find_runs_by_prefix(conn, str(request.run_id)[:8])
        assert [row.run_id for row in found] == [request.run_id]
        assert await runs.find_runs_by_prefix(conn, "%") == []
        assert len(await runs.list_runs(conn, 10)) == 2


async def test_listed_runs_show_their_progress(database: Database) -> None:
    async with database.transaction() as conn:
        ids = {name: (await add_run(conn, target=2)).run_id for name in ("new", "open", "over", "ended")}
        for name, count in (("open", 1), ("over", 3), ("ended", 3)):
            for number in range(count):
                await complete(conn, chosen := await add_company(conn, ids[name], f"Acme {number}"))
            await add_company(conn, ids[name], "Not yet")
        await runs.finish(conn, ids["ended"], RunStatus.COMPLETED, [chosen], "accepted as it is")
        listed = {row.run_id: row for row in await runs.list_runs(conn, 10)}

    ready = {name: listed[run_id].companies_ready for name, run_id in ids.items()}
    assert ready == {"new": 0, "open": 1, "over": 2, "ended": 1}
    assert listed[ids["over"]].complete == 3


async def test_a_question_stays_until_the_run_continues(database: Database) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn)
        await runs.set_question(conn, request.run_id, QUESTION)
        waiting = await runs.get_run(conn, request.run_id)
        await runs.set_state(
            conn, request.run_id, Stage.COMPANY_DISCOVERY, RunStatus.NEEDS_USER_DECISION, "still waiting"
        )
        still = await runs.get_run(conn, request.run_id)
        await runs.set_state(conn, request.run_id, Stage.COMPANY_DISCOVERY, RunStatus.ACTIVE, "")
        going_on = await runs.get_run(conn, request.run_id)

    assert (waiting.status, waiting.decision) == (RunStatus.NEEDS_USER_DECISION, QUESTION)
    assert (still.decision, still.notes) == (QUESTION, "still waiting")
    assert (going_on.decision, going_on.notes) == (None, "still waiting")


async def test_a_decision_amends_criteria_and_keeps_the_request(database: Database) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn)
        await runs.set_question(conn, request.run_id, QUESTION)
        wider = parse_criteria({"pms": "Buildium", "states": ["TX", "OK"]}).criteria
        amended = request.model_copy(update={"criteria": wider, "limits": Limits(max_cost_usd=9)})
        await runs.amend(conn, amended)
        row = await runs.get_run(conn, request.run_id)

    assert row.criteria == wider
    assert row.criteria_asked == request.criteria
    assert row.limits.max_cost_usd == 9
    assert (row.status, row.decision) == (RunStatus.ACTIVE, None)


@pytest.mark.parametrize("end", [RunStatus.COMPLETED, RunStatus.CANCELLED])
async def test_a_finished_run_stays_finished(database: Database, end: RunStatus) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn)
        chosen = await add_company(conn, request.run_id, "Acme")
        await runs.finish(conn, request.run_id, end, [chosen], "done")
        first = await runs.get_run(conn, request.run_id)
        await runs.set_state(conn, request.run_id, Stage.COMPANY_RESEARCH, RunStatus.ACTIVE, "late writer")
        await runs.finish(conn, request.run_id, end, [chosen], "done")
        second = await runs.get_run(conn, request.run_id)

    assert (second.status, second.selected, second.notes) == (end, (chosen,), "done")
    assert second.stage is (Stage.DONE if end is RunStatus.COMPLETED else Stage.COMPANY_DISCOVERY)
    assert first.finished_at == second.finished_at is not None


async def test_a_target_of_zero_is_refused(database: Database) -> None:
    request = run_request().model_copy(update={"target_quantity": 0})
    with pytest.raises(CheckViolation):
        async with database.transaction() as conn:
            await runs.insert_run(conn, request, "w", None)


async def test_an_event_recorded_twice_is_stored_once(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        for _ in range(2):
            await audit.record(conn, run_id, "decision_taken", "d1", actor="Ada", detail={"action": "retry"})
        await audit.record(conn, run_id, "decision_taken", "d2")
        events = await audit_events(conn, run_id)

    assert [(event["actor"], event["detail"]) for event in events] == [("Ada", {"action": "retry"}), ("pipeline", {})]
