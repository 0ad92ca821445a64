"""A limit that cannot hold is refused before anything is started or spent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from activities.decision_options import options_for
from domain.request.decision import DecisionAction, DecisionReason, DecisionRequest, amend, parse_decision
from domain.request.run_request import Limits
from runtime.process import UserError
from settings import Settings
from store.database import Database
from tests.store.rows import add_run
from usecases.start import StartOptions, build_request

OPTIONS = StartOptions(criteria={"state": "TX"}, quantity=5)


def _settings(**given: object) -> Settings:
    return Settings.model_validate({"openai_api_key": "x", "openai_model": "gpt-5-mini", **given})


@pytest.mark.usefixtures("plain_environment")
@pytest.mark.parametrize("usd", [-1.0, 0.0, -0.0, float("nan"), float("inf"), float("-inf")], ids=str)
def test_a_cost_limit_is_above_zero(usd: float) -> None:
    with pytest.raises(UserError, match="max-cost-usd must be above 0") as refused:
        build_request(OPTIONS.model_copy(update={"max_cost_usd": usd}), _settings())
    assert refused.value.exit_code == 2


@pytest.mark.usefixtures("plain_environment")
@pytest.mark.parametrize("calls", [0, -1])
def test_a_call_limit_is_at_least_one(calls: int) -> None:
    with pytest.raises(UserError, match="max-model-calls must be at least 1") as refused:
        build_request(OPTIONS.model_copy(update={"max_model_calls": calls}), _settings())
    assert refused.value.exit_code == 2


@pytest.mark.usefixtures("plain_environment")
def test_a_cost_limit_needs_a_known_price() -> None:
    capped = OPTIONS.model_copy(update={"max_cost_usd": 1.0})
    with pytest.raises(UserError, match="MODEL_PRICE_INPUT_USD_PER_MTOK"):
        build_request(capped, _settings(openai_model="our-own"))
    prices = {"model_price_input_usd_per_mtok": 1.0, "model_price_output_usd_per_mtok": 4.0}
    assert build_request(capped, _settings(openai_model="our-own", **prices)).limits.max_cost_usd == 1.0


@pytest.mark.usefixtures("plain_environment")
@pytest.mark.parametrize("name", ["model_requests_per_minute", "search_requests_per_minute"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "many"])
def test_a_rate_limit_is_a_number_of_requests(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        _settings(**{name: value})
    assert getattr(_settings(**{name: "0"}), name) == getattr(_settings(), name) == 0


@pytest.mark.parametrize("usd", [0.0004, 0.004, 1.0, 2.5, 1234.56])
async def test_a_run_accepts_the_higher_limit_it_proposes(database: Database, usd: float) -> None:
    reason = DecisionReason.BUDGET_REACHED
    async with database.transaction() as conn:
        run = await add_run(conn, limits=Limits(max_cost_usd=usd, max_model_calls=3))
        options = await options_for(conn, run, reason, "decision-1", 0)
    question = DecisionRequest(
        decision_id="decision-1",
        reason=reason,
        message="",
        funnel={},
        options=options,
        default=DecisionAction.CANCEL,
        deadline=datetime.now(UTC),
    )
    raises = [option.answer for option in options if option.action is DecisionAction.RAISE_BUDGET]
    limits = [amend(run, parse_decision(answer, question, run)).limits for answer in raises]
    assert [(each.max_cost_usd, each.max_model_calls) for each in limits] == [
        (pytest.approx(2 * usd, rel=0.01), 3),
        (usd, 6),
    ]
