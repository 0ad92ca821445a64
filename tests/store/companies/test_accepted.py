"""A person overrules the criteria for one company of an open run."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.company.status import CompanyStatus, ReasonCode
from domain.request.decision import DecisionAction, DecisionOption, DecisionReason, DecisionRequest
from domain.request.progress import RunStatus
from runtime.process import UserError
from store.companies import companies
from store.database import Connection
from store.runs import runs
from store.runs.runs import RunRow
from tests.store.rows import add_company, add_run, audit_events
from usecases.accept_company import accept_company

ENDS = {
    "Wrong Software": (CompanyStatus.REJECTED, ReasonCode.PMS_NOT_MET),
    "Units Unknown": (CompanyStatus.NEEDS_REVIEW, ReasonCode.UNITS_UNKNOWN),
    "Associations Only": (CompanyStatus.REJECTED, ReasonCode.ICP_DISQUALIFIED),
    "Customer": (CompanyStatus.SUPPRESSED, ReasonCode.SUPPRESSED),
    "Twin": (CompanyStatus.DUPLICATE, ReasonCode.DUPLICATE),
    "Gone": (CompanyStatus.REJECTED, ReasonCode.SITE_DEAD),
    "Nobody There": (CompanyStatus.REJECTED, ReasonCode.CONTACTS_SHORT),
    "Broken": (CompanyStatus.FAILED, ReasonCode.STEP_FAILED),
    "Fine": (CompanyStatus.COMPLETE, ReasonCode.COMPLETE),
}


@pytest.fixture
async def run(conn: Connection) -> RunRow:
    """A run that goes on, with a company for each end and one that is open."""
    request = await add_run(conn)
    for position, (name, (status, reason)) in enumerate(ENDS.items()):
        company_id = await add_company(conn, request.run_id, name, position=position)
        await companies.end_company(conn, company_id, status, reason, "runs AppFolio")
    await add_company(conn, request.run_id, "Open", position=50)
    return await runs.get_run(conn, request.run_id)


async def state(conn: Connection, run: RunRow) -> list[dict[str, object]]:
    cursor = await conn.execute("SELECT * FROM company_candidates WHERE run_id = %s ORDER BY position", (run.run_id,))
    return [*await cursor.fetchall(), *await audit_events(conn, run.run_id)]


async def test_a_run_that_read_past_an_accepted_company_finds_it(conn: Connection, run: RunRow) -> None:
    everything, cursor = await companies.list_open_after(conn, run.run_id, 0, 100)
    assert len(everything) == 1, "the open one alone"
    for name in ("Wrong Software", "Units Unknown", "Associations Only"):
        done = await accept_company(conn, run, name.upper(), "Dana", "we know them")

        [again], cursor = await companies.list_open_after(conn, run.run_id, cursor, 100)
        row = await companies.get_company(conn, again.company_id)
        assert (row.name, row.status, row.reason, row.accepted_by) == (name, CompanyStatus.FOUND, None, "Dana")
        assert done.reason == ENDS[name][1]


async def test_an_acceptance_is_recorded(conn: Connection, run: RunRow) -> None:
    await accept_company(conn, run, "Wrong Software", " Dana ", "we know them")

    [event] = await audit_events(conn, run.run_id)
    assert (event["event"], event["actor"]) == ("company_accepted", "Dana")
    assert event["detail"] == {"reason": "pms_not_met", "detail": "runs AppFolio", "note": "we know them"}
    cursor = await conn.execute("SELECT accepted_at FROM company_candidates WHERE accepted_by = 'Dana'")
    [stored] = await cursor.fetchall()
    assert stored["accepted_at"] is not None


REFUSED = {
    "Customer": "suppression cannot be overridden",
    "Twin": "duplicate of another company",
    "Gone": r"its own site could not be read \(site_dead\)",
    "Nobody There": "nobody to deliver",
    "Broken": r"no criterion rejected it \(step_failed\)",
    "Fine": "already complete",
    "Open": "not finished it yet",
    "Wrong Softwares": "Did you mean 'Wrong Software'",
}


async def test_only_a_criterion_can_be_overruled(conn: Connection, run: RunRow) -> None:
    before = await state(conn, run)
    for name, why in REFUSED.items():
        with pytest.raises(UserError, match=why):
            await accept_company(conn, run, name, "Dana", "")
    with pytest.raises(UserError, match="who overrules"):
        await accept_company(conn, run, "Wrong Software", " ", "")
    assert await state(conn, run) == before


async def test_the_first_acceptance_stays(conn: Connection, run: RunRow) -> None:
    await accept_company(conn, run, "Wrong Software", "Dana", "")
    before = await state(conn, run)
    with pytest.raises(UserError, match="Dana has already accepted"):
        await accept_company(conn, run, "Wrong Software", "Eli", "")
    assert await state(conn, run) == before


async def test_an_ended_run_accepts_no_company(conn: Connection, run: RunRow) -> None:
    await runs.finish(conn, run.run_id, RunStatus.COMPLETED, [], "")
    before = await state(conn, run)
    with pytest.raises(UserError, match=r"has ended \(it is completed\).*start a new run.*make pms soft") as refused:
        await accept_company(conn, run, "Wrong Software", "Dana", "")  # the row as read before the run ended
    assert refused.value.exit_code == 2
    assert await state(conn, run) == before


@pytest.mark.parametrize(
    ("reason", "option", "command"),
    [
        (DecisionReason.CANDIDATES_EXHAUSTED, (DecisionAction.RETRY, {}), "retry"),
        (
            DecisionReason.BUDGET_REACHED,
            (DecisionAction.RAISE_BUDGET, {"max_model_calls": 40}),
            "raise_budget --max-model-calls 40",
        ),
    ],
    ids=["exhausted", "budget"],
)
async def test_a_waiting_run_learns_of_an_accepted_company(
    conn: Connection,
    run: RunRow,
    reason: DecisionReason,
    option: tuple[DecisionAction, dict[str, object]],
    command: str,
) -> None:
    actions: list[tuple[DecisionAction, dict[str, object]]] = [(DecisionAction.ACCEPT_PARTIAL, {}), option]
    question = DecisionRequest(
        decision_id="decision-1",
        reason=reason,
        message="short",
        funnel={},
        options=tuple(
            DecisionOption(action=action, description="", answer={"action": action, **params})
            for action, params in actions
        ),
        default=DecisionAction.ACCEPT_PARTIAL,
        deadline=datetime(2026, 12, 1, tzinfo=UTC),
    )
    await runs.set_question(conn, run.run_id, question)

    done = await accept_company(conn, run, "Wrong Software", "Dana", "")

    assert f"python starter.py signal {str(run.run_id)[:8]} {command}." in done.next
    assert "decision-1" in done.next
