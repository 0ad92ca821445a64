"""Why a run asks, in words for a person."""

from uuid import UUID

import pytest

from domain.activity_io import CompanyOutcome, CompanyRef
from domain.company.status import CompanyStatus, Interruption
from domain.request.criteria import Criteria
from domain.request.decision import DecisionReason
from domain.request.progress import Stage
from domain.request.run_request import Limits, RunRequest
from domain.request.search_plan import YIELD_WINDOW
from workflows.pause_reasons import exhausted, interrupted, stage_timed_out
from workflows.state import RunState

LIMITS = [
    (Limits(max_cost_usd=2.5), "limit of $2.5 does"),
    (Limits(max_model_calls=40), "limit of 40 model calls does"),
    (Limits(max_cost_usd=2.0, max_model_calls=40), "limit of $2 or 40 model calls does"),
]


def state_of(target: int = 5, limits: Limits | None = None, complete: int = 0, **more: int) -> RunState:
    request = RunRequest(
        run_id=UUID(int=1), criteria=Criteria(), target_quantity=target, limits=limits or Limits(stage_timeout_s=600)
    )
    state = RunState(request=request, **more)
    for position in range(complete):
        company = CompanyRef(company_id=UUID(int=position), position=position)
        state.company_ended(company, CompanyOutcome(status=CompanyStatus.COMPLETE, contacts=1))
    return state


def test_a_run_that_found_nothing_asks() -> None:
    pause = exhausted(state_of(tasks_done=3))
    assert pause.reason is DecisionReason.CANDIDATES_EXHAUSTED
    assert pause.message == "0 of 5 companies are complete; all 3 searches are done; 0 companies were judged."


def test_exhausted_kinds_are_named() -> None:
    state = state_of(tasks_done=40)
    state.new_by_kind = {"directory_pages": [0] * YIELD_WINDOW, "individual": [0] * (YIELD_WINDOW - 1)}
    message = exhausted(state).message
    assert "40 searches are done; others (directory pages) were skipped" in message
    state.new_by_kind["directory_pages"] = [0] * (YIELD_WINDOW - 1)
    assert "all 40 searches are done" in exhausted(state).message


@pytest.mark.parametrize(
    ("short", "reason"),
    [(2, DecisionReason.CONTACTS_SHORT), (1, DecisionReason.CANDIDATES_EXHAUSTED), (3, DecisionReason.CONTACTS_SHORT)],
)
def test_contacts_are_the_reason_if_they_would_fill_the_target(short: int, reason: DecisionReason) -> None:
    state = state_of(complete=3)
    state.funnel["contacts_short"] = short
    pause = exhausted(state)
    assert pause.reason is reason
    assert (f"{short} more fit but have too few reachable" in pause.message) == (short >= 2)


@pytest.mark.parametrize(
    ("complete", "ended", "reason"),
    [
        (1, 20, DecisionReason.LOW_MATCH_RATE),
        (2, 20, DecisionReason.CANDIDATES_EXHAUSTED),
        (0, 19, DecisionReason.CANDIDATES_EXHAUSTED),
        (0, 20, DecisionReason.LOW_MATCH_RATE),
    ],
)
def test_a_low_match_rate_is_the_reason_from_20_companies_on(complete: int, ended: int, reason: DecisionReason) -> None:
    state = state_of(complete=complete)
    state.ended = ended
    pause = exhausted(state)
    assert pause.reason is reason
    assert f"{ended} companies" in pause.message


@pytest.mark.parametrize(("limits", "said"), LIMITS)
def test_a_budget_reached_names_the_limit(limits: Limits, said: str) -> None:
    pause = interrupted(Interruption.BUDGET_REACHED, state_of(limits=limits, complete=1))
    assert pause.reason is DecisionReason.BUDGET_REACHED
    assert said in pause.message and "1 of 5 companies are complete" in pause.message


def test_a_dependency_down_says_what_did_not_answer() -> None:
    pause = interrupted(Interruption.DEPENDENCY_DOWN, state_of())
    assert pause.reason is DecisionReason.DEPENDENCY_DOWN
    assert "the model, the web search, the CRM or the database did not answer" in pause.message


@pytest.mark.parametrize("stage", [Stage.COMPANY_DISCOVERY, Stage.COMPANY_RESEARCH, Stage.CONTACT_DISCOVERY])
def test_a_time_out_names_the_stage_and_its_seconds(stage: Stage) -> None:
    state = state_of(complete=2)
    state.stage = stage
    pause = stage_timed_out(state)
    assert pause.reason is DecisionReason.STAGE_TIMEOUT
    assert f"the stage {stage.value} reached its time-out of 600 seconds" in pause.message


def test_the_message_counts_companies_up_to_the_target() -> None:
    assert "5 of 5 companies" in exhausted(state_of(target=5, complete=8)).message
